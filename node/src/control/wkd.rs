//! The owner's OpenPGP key, by command.

use anyhow::Result;
use data_encoding::BASE64;
use freehold_core::node::Node;
use freehold_core::{openpgp_key, profile};
use serde_json::json;

use super::Response;
use super::execute::{ControlContext, invalid};

pub(super) fn show(context: &ControlContext) -> Result<Response> {
    let address = profile::address(&context.owner()?);
    let len = openpgp_key::get(&context.node)?.map(|key| key.len());
    let text = match len {
        Some(len) => format!(
            "The key of {address} ({len} bytes) is served. `gpg --locate-external-keys {address}` \
             finds it, if the web address of your domain leads to this node."
        ),
        None => "There is no key. `freehold wkd set FILE` serves one.".to_owned(),
    };
    Ok(Response::text(text).with(json!({ "address": address, "len": len })))
}

pub(super) async fn set(context: &ControlContext, key: &str) -> Result<Response> {
    let key = BASE64.decode(key.as_bytes()).map_err(invalid)?;
    openpgp_key::set(&context.node, &key).await.map_err(invalid)?;
    show(context)
}

pub(super) async fn remove(node: &Node) -> Result<Response> {
    openpgp_key::remove(node).await.map_err(invalid)?;
    Ok(Response::text("No key is served any more."))
}
