//! The way to a port of a device that is not in the local network: through the tunnel of its cloud.
//!
//! In: the device's uuid, and who we are to the cloud. Out: a stream to the port. The tunnel is `CONNECT` to `<uuid>.balena:<port>` over TLS, as
//! the reference's clouds have it. The token is said to a server that has proven its name, and to no other: no answer sends us elsewhere.

pub(crate) mod fuzz;
mod refusal;
mod reply;
mod token;

use std::{
    future::pending,
    io::{self, Cursor},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy, join, split},
    time::timeout,
};

pub use refusal::{CarryError, TunnelError, TunnelRefusal};
pub(crate) use reply::parse;
pub use token::{InvalidToken, Token};

use super::tls::{self, TlsServer};

/// How long the cloud may take to reach the device.
const PATIENCE: Duration = Duration::from_secs(15);
/// The cloud looks at the token alone.
const ACCOUNT: &str = "root";

/// A port of a device, behind a cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudTunnel {
    /// The cloud's tunnel.
    pub server: TlsServer,
    /// Who we are to it.
    pub token: Token,
    /// The whole uuid of the device.
    pub uuid: String,
    /// The port there.
    pub port: u16,
}

/// Has the way opened.
pub(super) async fn open(
    tunnel: &CloudTunnel,
) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + use<>, TunnelError> {
    match tls::connect(&tunnel.server).await {
        Ok(stream) => opened(stream, tunnel, PATIENCE).await,
        Err(error) => Err(refused(tunnel, error)),
    }
}

/// Has the way opened, and carries bytes until the device has said everything: what `ssh` expects of a `ProxyCommand`. The end of `input` is
/// passed on, and the other direction goes on.
///
/// # Errors
/// [`CarryError`] when there is no way, or when it breaks.
pub async fn carry(
    tunnel: &CloudTunnel,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin,
) -> Result<(), CarryError> {
    let stream = open(tunnel).await?;
    let carried = both_ways(stream, input, output).await;
    carried.map_err(|source| CarryError::Broken {
        cloud: tunnel.server.host.clone(),
        source,
    })
}

async fn both_ways(
    stream: impl AsyncRead + AsyncWrite,
    mut input: impl AsyncRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let (mut from, mut to) = split(stream);
    let up = async {
        // The other side may want no more; what it still says is carried to its end.
        let _is_sent = copy(&mut input, &mut to).await.is_ok() && to.shutdown().await.is_ok();
        pending::<()>().await;
    };
    let down = async {
        let copied = copy(&mut from, &mut output).await;
        output.flush().await?;
        copied
    };
    let ended = tokio::select! {
        ended = down => ended,
        () = up => Ok(0),
    };
    match ended {
        // SSH knows by itself whether anything is missing; clouds hang up without a word of TLS. A reader that goes away is an end, too.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe
            ) =>
        {
            Ok(())
        }
        ended => ended.map(drop),
    }
}

/// Asks for it over a stream to the cloud. What the device has said already comes first.
async fn opened<S>(
    mut stream: S,
    tunnel: &CloudTunnel,
    patience: Duration,
) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + use<S>, TunnelError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let asking = async {
        stream.write_all(request(tunnel).as_bytes()).await?;
        stream.flush().await?;
        let mut received = Vec::new();
        loop {
            match parse(&received) {
                Ok(Some(reply)) => {
                    let rest = received.split_off(reply.length);
                    break Ok::<_, io::Error>(Ok((reply.status, rest)));
                }
                Ok(None) => {}
                Err(problem) => break Ok(Err(problem.to_string())),
            }
            if stream.read_buf(&mut received).await? == 0 {
                break Ok(Err("it hung up before the end of its answer".to_owned()));
            }
        }
    };
    let answered = match timeout(patience, asking).await {
        Ok(Ok(answered)) => answered,
        Ok(Err(error)) => Err(error.to_string()),
        Err(_elapsed) => {
            let seconds = patience.as_secs();
            return Err(refused(tunnel, TunnelRefusal::Silent { seconds }));
        }
    };
    let (status, rest) =
        answered.map_err(|problem| refused(tunnel, TunnelRefusal::Unusable { problem }))?;
    if let Some(why) = TunnelRefusal::of(status) {
        return Err(refused(tunnel, why));
    }
    let (read, write) = split(stream);
    Ok(join(Cursor::new(rest).chain(read), write))
}

fn refused(tunnel: &CloudTunnel, why: impl Into<TunnelRefusal>) -> TunnelError {
    TunnelError {
        cloud: tunnel.server.host.clone(),
        uuid: tunnel.uuid.clone(),
        why: why.into(),
    }
}

fn request(tunnel: &CloudTunnel) -> String {
    let who = BASE64_STANDARD.encode(format!("{ACCOUNT}:{}", tunnel.token.text()));
    // The cloud knows no uuid that is written in another way.
    let uuid = tunnel.uuid.to_ascii_lowercase();
    format!(
        "CONNECT {uuid}.balena:{} HTTP/1.0\r\nProxy-Authorization: Basic {who}\r\n\r\n",
        tunnel.port
    )
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;
    use crate::transport::Authorities;

    fn tunnel() -> CloudTunnel {
        CloudTunnel {
            server: TlsServer {
                host: "tunnel.x.test".to_owned(),
                port: 443,
                authorities: Authorities::default(),
                proxy: None,
            },
            token: Token::parse("secret").unwrap(),
            uuid: "8F3B8BB7510F4BA0B3A4E0AA042D3713".to_owned(),
            port: 22222,
        }
    }

    /// What comes of an answer; nothing follows it if it `ends`.
    async fn answered(answer: &'static [u8], ends: bool) -> Result<Vec<u8>, TunnelError> {
        let (ours, mut theirs) = duplex(64 << 10);
        let expected = request(&tunnel()).len();
        let answering = async {
            // The question comes first: to who hangs up before, it could not be sent.
            theirs.read_exact(&mut vec![0; expected]).await.unwrap();
            theirs.write_all(answer).await.unwrap();
            if ends {
                theirs.shutdown().await.unwrap();
            }
        };
        let tunnel = tunnel();
        let asking = opened(ours, &tunnel, Duration::from_secs(1));
        let (stream, ()) = tokio::join!(asking, answering);
        let mut stream = stream?;
        drop(theirs);
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        Ok(said)
    }

    #[test]
    fn it_is_asked_as_the_reference_asks() {
        assert_eq!(
            request(&tunnel()),
            "CONNECT 8f3b8bb7510f4ba0b3a4e0aa042d3713.balena:22222 HTTP/1.0\r\nProxy-Authorization: Basic cm9vdDpzZWNyZXQ=\r\n\r\n"
        );
    }

    #[tokio::test]
    async fn what_is_carried_ends_with_the_device_and_not_with_the_input() {
        let (ours, mut theirs) = duplex(10);
        let (person, input) = duplex(10);
        let device = async {
            let mut heard = String::new();
            theirs.read_to_string(&mut heard).await.unwrap();
            theirs.write_all(b"an answer that is longer").await.unwrap();
            drop(theirs);
            heard
        };
        let asking = async {
            let mut person = person;
            person
                .write_all(b"a question of some length")
                .await
                .unwrap();
        };
        let mut output = Vec::new();
        let carrying = both_ways(ours, input, &mut output);
        let (carried, heard, ()) = tokio::join!(carrying, device, asking);
        carried.unwrap();
        assert_eq!(heard, "a question of some length");
        assert_eq!(output, b"an answer that is longer");
    }

    #[tokio::test]
    async fn what_the_device_says_with_the_header_is_not_lost() {
        let said = answered(b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nSSH-2.0-x\r\n", false).await;
        assert_eq!(said.unwrap(), b"SSH-2.0-x\r\n");
    }

    #[tokio::test]
    async fn an_answer_that_is_none_is_told_and_the_token_is_not() {
        let why = async |answer, ends| {
            let error = answered(answer, ends).await.unwrap_err();
            assert!(!format!("{error:?} {error}").contains("secret"));
            error.why.to_string()
        };
        for (answer, ends, words) in [
            (&b"HTTP/1.0 407 No\r\n\r\n"[..], true, "407"),
            (
                b"HTTP/1.0 302 Found\r\nLocation: https://a.test/\r\n\r\n",
                true,
                "elsewhere",
            ),
            (b"HTTP/1.0 200 OK\r\n", true, "hung up"),
            (b"HTTP/1.0 200 OK\r\n", false, "1 s"),
            (b"SSH-2.0-x\r\n", false, "not HTTP"),
        ] {
            let why = why(answer, ends).await;
            assert!(why.contains(words), "{why}");
        }
    }
}
