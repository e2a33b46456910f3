//! Commands to paste into a shell: quoting, this program's path, mail by curl, an ssh tunnel.

use std::path::Path;

use crate::listen::ListenConfig;

/// The path by which this program was started. Under `cargo run` this is the built binary's path,
/// which needs no build.
pub(crate) fn program() -> String {
    let name = std::env::args_os().next().map(|name| name.to_string_lossy().into_owned());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "freehold".to_owned())
}

/// Quotes text as one word of a POSIX shell.
pub(crate) fn quote(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// The commands that send a message to the owner's own address and read the newest message. `user`
/// is `address:password` as one word of a shell.
pub(crate) fn mail_commands(
    address: &str,
    user: &str,
    ports: &ListenConfig,
    certificate: &Path,
) -> Vec<String> {
    let certificate = quote(&certificate.to_string_lossy());
    vec![
        format!(
            "printf 'From: {address}\\nTo: {address}\\nSubject: Test message\\n\\nIt works.\\n' | \\"
        ),
        format!(
            "  curl --cacert {certificate} --url smtps://localhost:{} --user {user} --mail-from \
             {address} --mail-rcpt {address} --crlf --upload-file -",
            ports.smtps.port()
        ),
        format!(
            "curl --cacert {certificate} --url 'imaps://localhost:{}/INBOX;MAILINDEX=*' --user \
             {user}",
            ports.imaps.port()
        ),
    ]
}

/// The command that forwards these web ports of this machine to the user's own computer; `None` if
/// this is no ssh session.
pub(crate) fn ssh_tunnel(web: &[u16]) -> Option<String> {
    let user = ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    let connection = std::env::var("SSH_CONNECTION").ok()?;
    tunnel_for(&connection, user.as_deref().unwrap_or("root"), web)
}

/// `connection` is sshd's variable: the client's address and port, then the server's.
fn tunnel_for(connection: &str, user: &str, web: &[u16]) -> Option<String> {
    let mut server = connection.split_whitespace().skip(2);
    let (address, port) = (server.next()?, server.next());
    let mut command = "ssh".to_owned();
    for port in web {
        command.push_str(&format!(" -L {port}:127.0.0.1:{port}"));
    }
    if let Some(port) = port.filter(|port| *port != "22") {
        command.push_str(&format!(" -p {port}"));
    }
    Some(format!("{command} {}", quote(&format!("{user}@{address}"))))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Runs `script` in `sh` with a `curl` that prints its arguments, and returns the arguments.
    pub(crate) fn curl_arguments(script: &str) -> Vec<String> {
        let script = format!("curl() {{ printf '%s\\n' \"$@\"; }}; {script}");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{script}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn quoted_text_is_one_shell_word() {
        for text in [
            "/home/ruth/data",
            "/home/ruth/my data",
            "it's $HOME `here` \"so\" \\ *",
            "",
            "~",
            "-",
            "a;b&c|d",
        ] {
            assert_eq!(curl_arguments(&format!("curl {}", quote(text))), [text], "{text:?}");
        }
        assert_eq!(quote("/plain/path-1.pem"), "/plain/path-1.pem");
    }

    #[test]
    fn mail_commands_quote_the_certificate_path() {
        let certificate = Path::new("/home/ruth's folder/tls/cert.pem");
        let commands = mail_commands(
            "ruth@ruth.localhost",
            "ruth@ruth.localhost:word-word",
            &ListenConfig::default(),
            certificate,
        );
        let sent = curl_arguments(&commands[..2].join("\n"));
        assert_eq!(
            sent[..6],
            [
                "--cacert",
                certificate.to_str().unwrap(),
                "--url",
                "smtps://localhost:7465",
                "--user",
                "ruth@ruth.localhost:word-word"
            ]
        );
        let read = curl_arguments(&commands[2]);
        assert_eq!(
            read[1..4],
            [certificate.to_str().unwrap(), "--url", "imaps://localhost:7993/INBOX;MAILINDEX=*"]
        );
    }

    #[test]
    fn ssh_tunnel_uses_the_address_of_the_session() {
        let tunnel = |connection| tunnel_for(connection, "ruth", &[7080]);
        assert_eq!(
            tunnel("192.0.2.1 50000 198.51.100.7 22").unwrap(),
            "ssh -L 7080:127.0.0.1:7080 ruth@198.51.100.7"
        );
        assert_eq!(
            tunnel("192.0.2.1 50000 2001:db8::7 2222").unwrap(),
            "ssh -L 7080:127.0.0.1:7080 -p 2222 ruth@2001:db8::7"
        );
        assert_eq!(
            tunnel_for("a b c 22", "x", &[1, 2]).unwrap(),
            "ssh -L 1:127.0.0.1:1 -L 2:127.0.0.1:2 x@c"
        );
        assert_eq!((tunnel(""), tunnel("192.0.2.1 50000")), (None, None));
    }
}
