//! A keeper against a server that does what no real one does when it is asked to.

use std::{net::SocketAddr, path::Path, sync::Arc};

use russh::{
    Channel, ChannelId, ChannelOpenFailure, Disconnect,
    keys::{PrivateKey, ssh_key::private::Ed25519Keypair},
    server::{self, Auth, ChannelOpenHandle, Handle, Handler, Msg},
};
use tokio::{
    net::{TcpListener, UnixStream},
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};

use super::{
    folder::Folder,
    frames::Frame,
    keeper::keep,
    messages::{Connection, Hello, Notice, What, Wish},
    session::Line,
};
use crate::transport::ssh::{
    HostKeyDecision, Place, SshError, SshTarget, host_keys::HostName, process::Start,
};

const NAME: &str = "2-name-0";

/// A program that was asked for; whether it runs is not said yet.
type Asked = (Handle, ChannelId);

/// Lets everybody in.
#[derive(Clone)]
struct Server {
    asked: mpsc::UnboundedSender<Asked>,
    has_room: bool,
    /// Taken for each program; while there is none, nothing at all is answered.
    turns: Arc<Semaphore>,
}

impl Handler for Server {
    type Error = russh::Error;

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, russh::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut server::Session,
    ) -> Result<(), russh::Error> {
        if self.has_room {
            reply.accept().await;
        } else {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
        session: &mut server::Session,
    ) -> Result<(), russh::Error> {
        let handle = session.handle();
        self.turns.acquire().await.unwrap().forget();
        self.asked.send((handle, channel)).unwrap();
        Ok(())
    }
}

/// A keeper and its server.
struct Kept {
    folder: Folder,
    asked: mpsc::UnboundedReceiver<Asked>,
    turns: Arc<Semaphore>,
    keeper: JoinHandle<std::io::Result<()>>,
    line: Line,
    about: Connection,
}

impl Kept {
    async fn new(parent: &Path, has_room: bool) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = listener.await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asking, asked) = mpsc::unbounded_channel();
        let turns = Arc::new(Semaphore::new(10));
        let handler = Server {
            asked: asking,
            has_room,
            turns: Arc::clone(&turns),
        };
        let config = server::Config {
            keys: vec![PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]))],
            ..server::Config::default()
        };
        tokio::spawn(async move {
            let (socket, _) = listener.accept().await.unwrap();
            let running = server::run_stream(Arc::new(config), socket, handler).await;
            drop(running.unwrap().await);
        });
        let path = parent.join("ssh");
        let folder = Folder::open(&path).unwrap();
        let (ours, its) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let keeper = tokio::spawn(async move { keep(its, &path, NAME).await });
        let mut line = Line::new(UnixStream::from_std(ours).unwrap());
        let host = HostName::device("5eee").unwrap();
        let target = SshTarget::new("kitchen", host, Place::Addresses(vec![address]));
        let make = Hello::Make(Box::new(target));
        line.say(&make.greeting()).await.unwrap();
        let about = loop {
            match line.hear().await.unwrap() {
                Notice::Judge { .. } => {
                    let judged = Wish::Judged(HostKeyDecision::Accept);
                    line.say(&judged).await.unwrap();
                }
                Notice::Attached(about) => break about,
                other => panic!("{other:?}"),
            }
        };
        Self {
            folder,
            asked,
            turns,
            keeper,
            line,
            about,
        }
    }
}

/// Another user.
async fn attach(folder: &Folder) -> (Line, Connection) {
    let stream = folder.connect(NAME).await.unwrap();
    let mut line = Line::greet(stream, Hello::Attach).await.unwrap();
    match line.hear().await.unwrap() {
        Notice::Attached(about) => (line, about),
        other => panic!("{other:?}"),
    }
}

/// Asks for a program.
async fn open(folder: &Folder, about: &Connection) -> Line {
    let stream = folder.connect(&about.socket).await.unwrap();
    let what = What::Program {
        start: Start::Command(b"true".to_vec()),
        pty: None,
    };
    let session = about.session;
    let line = Line::greet(stream, Hello::Open { session, what }).await;
    line.unwrap()
}

/// The program that was asked for runs.
async fn runs(asked: &mut mpsc::UnboundedReceiver<Asked>, line: &mut Line) -> Asked {
    let (server, channel) = asked.recv().await.unwrap();
    server.channel_success(channel).await.unwrap();
    let opened = line.hear().await.unwrap();
    assert!(matches!(opened, Notice::Opened { .. }), "{opened:?}");
    (server, channel)
}

async fn disconnect(server: &Handle) {
    let reason = Disconnect::ByApplication;
    let told = server.disconnect(reason, "enough".to_owned(), String::new());
    told.await.unwrap();
}

fn problem(notice: Notice) -> (SshError, bool) {
    match notice {
        Notice::Failed {
            error,
            is_repeatable,
        } => (error, is_repeatable),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_command_that_was_asked_for_is_not_asked_for_again() {
    let parent = tempfile::tempdir().unwrap();
    let mut kept = Kept::new(parent.path(), true).await;
    let mut line = open(&kept.folder, &kept.about).await;
    let (server, _) = kept.asked.recv().await.unwrap();
    disconnect(&server).await;
    let (error, is_repeatable) = problem(line.hear().await.unwrap());
    assert!(matches!(error, SshError::Gone { .. }), "{error:?}");
    assert!(!is_repeatable);
}

#[tokio::test]
async fn what_had_arrived_when_a_connection_ended_is_not_lost() {
    const BYTES: usize = 3 << 20;
    let parent = tempfile::tempdir().unwrap();
    let mut kept = Kept::new(parent.path(), true).await;
    let mut line = open(&kept.folder, &kept.about).await;
    let (server, channel) = runs(&mut kept.asked, &mut line).await;
    server.data(channel, vec![7; BYTES]).await.unwrap();
    server.exit_status_request(channel, 3).await.unwrap();
    server.eof(channel).await.unwrap();
    server.close(channel).await.unwrap();
    disconnect(&server).await;
    let ended = kept.line.hear().await.unwrap();
    assert!(matches!(ended, Notice::Ended(_)), "{ended:?}");
    let (mut count, mut others) = (0, Vec::new());
    loop {
        match line.frames.next().await.unwrap() {
            Some(Frame::Data(bytes)) => count += bytes.len(),
            Some(Frame::Close) => break,
            Some(other) => others.push(other),
            None => panic!("{count} bytes, {others:?}"),
        }
    }
    assert_eq!(count, BYTES);
    let exit = Frame::Exit(r#"{"Code":3}"#.into());
    assert_eq!(others, [exit, Frame::Eof]);
    drop((line, kept.line));
    kept.keeper.await.unwrap().unwrap();
}

#[tokio::test]
async fn those_who_use_it_go_on_when_nobody_else_may() {
    let parent = tempfile::tempdir().unwrap();
    let mut kept = Kept::new(parent.path(), true).await;
    let (mut other, about) = attach(&kept.folder).await;
    assert_eq!(about.socket, kept.about.socket);
    other.say(&Wish::Retire).await.unwrap();
    while other.hear().await.is_ok() {}
    kept.folder.connect(NAME).await.unwrap_err();
    // Another one takes its name.
    let (_newer, _) = kept.folder.listen(NAME).unwrap();
    let mut line = open(&kept.folder, &kept.about).await;
    let (server, channel) = runs(&mut kept.asked, &mut line).await;
    server.close(channel).await.unwrap();
    assert_eq!(line.frames.next().await.unwrap(), Some(Frame::Close));
    drop((line, kept.line));
    kept.keeper.await.unwrap().unwrap();
    kept.folder.connect(&about.socket).await.unwrap_err();
    kept.folder.connect(NAME).await.unwrap();
}

#[tokio::test]
async fn a_late_answer_sends_newcomers_away_and_ends_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let mut kept = Kept::new(parent.path(), true).await;
    kept.turns.forget_permits(10);
    let _first = open(&kept.folder, &kept.about).await;
    let Line { mut frames, into } = kept.line;
    drop(into);
    assert_eq!(frames.next().await.unwrap(), None);
    // Nobody uses it, and the server does not move.
    let (mut session, about) = attach(&kept.folder).await;
    let mut line = open(&kept.folder, &about).await;
    let (error, is_repeatable) = problem(line.hear().await.unwrap());
    assert!(matches!(error, SshError::Gone { .. }), "{error:?}");
    assert!(is_repeatable);
    kept.folder.connect(NAME).await.unwrap_err();
    kept.turns.add_permits(10);
    let (server, channel) = kept.asked.recv().await.unwrap();
    server.channel_success(channel).await.unwrap();
    let mut line = open(&kept.folder, &about).await;
    runs(&mut kept.asked, &mut line).await;
    drop(line);
    session.say(&Wish::Retire).await.unwrap();
    kept.keeper.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_without_room_for_one_program_is_not_full() {
    let parent = tempfile::tempdir().unwrap();
    let kept = Kept::new(parent.path(), false).await;
    let mut line = open(&kept.folder, &kept.about).await;
    let (error, _) = problem(line.hear().await.unwrap());
    assert!(matches!(error, SshError::Refused { .. }), "{error:?}");
}
