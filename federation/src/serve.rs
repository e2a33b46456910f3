//! What a connected peer gets: each incoming stream by its protocol.

use std::sync::Arc;

use crate::hello;
use crate::network::ByteStream;
use crate::peers::{Peer, Shared};
use crate::wire::frame::FrameError;
use crate::wire::{hello as hello_wire, identity};

/// Serves one stream that the peer has opened.
pub(crate) async fn serve(shared: &Arc<Shared>, peer: &Arc<Peer>, protocol: &'static str, stream: ByteStream) -> Result<(), FrameError> {
    match protocol {
        hello_wire::PROTOCOL => hello::answer(shared, peer, stream).await,
        identity::PROTOCOL => hello::serve_identity(shared, peer, stream).await,
        _ => Ok(()),
    }
}
