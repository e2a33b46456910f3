//! The socket: its place, and its users.

use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::net::{UnixListener, UnixStream};

/// The socket's name in the data folder.
const SOCKET_NAME: &str = "control.sock";

/// Connects to the node that runs in `data`; `None` if none runs there.
pub(super) async fn connect(data: &Path) -> Result<Option<UnixStream>> {
    let Ok(folder) = std::fs::File::open(data) else { return Ok(None) };
    match UnixStream::connect(socket_path(&folder)).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(connect_without_file(&folder))
        }
        Err(error) => {
            Err(error).with_context(|| format!("can't connect to the node in {}", data.display()))
        }
    }
}

/// The address of a socket without a file, for a folder that can't be written.
fn address_without_file(folder: &std::fs::File) -> std::io::Result<SocketAddr> {
    let folder = folder.metadata()?;
    SocketAddr::from_abstract_name(format!("freehold-{}-{}", folder.dev(), folder.ino()))
}

/// Connects to the node of a folder that can't be written; `None` if none runs there, or another
/// user has taken the address.
fn connect_without_file(folder: &std::fs::File) -> Option<UnixStream> {
    let stream =
        std::os::unix::net::UnixStream::connect_addr(&address_without_file(folder).ok()?).ok()?;
    stream.set_nonblocking(true).ok()?;
    let stream = UnixStream::from_std(stream).ok()?;
    let owner = folder.metadata().ok()?.uid();
    stream.peer_cred().ok().filter(|peer| [0, owner].contains(&peer.uid())).map(|_| stream)
}

/// The control socket of a node.
pub(crate) enum ControlListener {
    /// In the data folder.
    File(UnixListener),
    /// Without a file: connections of other users are refused.
    WithoutFile(UnixListener),
}

impl ControlListener {
    pub(super) async fn accept(&self) -> std::io::Result<UnixStream> {
        match self {
            Self::File(listener) => Ok(listener.accept().await?.0),
            Self::WithoutFile(listener) => loop {
                let stream = listener.accept().await?.0;
                let own = rustix::process::geteuid().as_raw();
                if stream.peer_cred().is_ok_and(|peer| [0, own].contains(&peer.uid())) {
                    return Ok(stream);
                }
            },
        }
    }
}

/// The socket's path through the open folder: a socket's path is limited to 107 bytes, a folder's
/// is not.
fn socket_path(folder: &std::fs::File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET_NAME}", folder.as_raw_fd()))
}

/// Opens the socket. The caller holds the folder's lock, so an existing socket belongs to a process
/// that has ended.
pub(crate) fn listen(data: &Path) -> Result<ControlListener> {
    let folder = std::fs::File::open(data)?;
    let path = socket_path(&folder);
    let _ = std::fs::remove_file(&path);
    // The process's umask sets the mode at creation: a mode set afterwards alone would leave a
    // moment in which other users can connect.
    let bound = UnixListener::bind(&path);
    let restrict = |listener| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map(|()| listener)
    };
    let listening = match bound.and_then(restrict) {
        // The folder can't be written, for whatever reason.
        Err(_) => listen_without_file(&folder).map(ControlListener::WithoutFile),
        listener => listener.map(ControlListener::File),
    };
    listening.with_context(|| format!("can't open the control socket in {}", data.display()))
}

fn listen_without_file(folder: &std::fs::File) -> std::io::Result<UnixListener> {
    let listener = std::os::unix::net::UnixListener::bind_addr(&address_without_file(folder)?)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Removes the socket's file at the stop, so that a copy of the folder holds no socket. The caller
/// still holds the folder's lock.
pub(crate) fn remove_socket(data: &Path) {
    if let Ok(folder) = std::fs::File::open(data) {
        // There is no file if the folder can't be written.
        let _ = std::fs::remove_file(socket_path(&folder));
    }
}
