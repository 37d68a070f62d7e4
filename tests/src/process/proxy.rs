//! A TCP link on loopback that can lose everything that comes back: requests arrive and are carried out, their answers
//! do not.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

#[derive(Debug, Default)]
struct Muting {
    is_mute: AtomicBool,
    lost_bytes: AtomicU64,
}

/// The link. Ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: String,
    muting: Arc<Muting>,
    reset: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A link to this address.
    pub async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address").to_string();
        let muting = Arc::new(Muting::default());
        let (reset, resets) = watch::channel(0);
        let task = tokio::spawn(serve(listener, target, Arc::clone(&muting), resets));
        Self { address, muting, reset, task }
    }

    /// Where to connect to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on nothing comes back.
    pub fn mute(&self) {
        self.muting.lost_bytes.store(0, Ordering::Relaxed);
        self.muting.is_mute.store(true, Ordering::Relaxed);
    }

    /// Bytes that were lost since it was muted.
    pub fn lost_bytes(&self) -> u64 {
        self.muting.lost_bytes.load(Ordering::Relaxed)
    }

    /// Carries both ways again. Connections that have lost something end: TCP never leaves a hole.
    pub fn unmute(&self) {
        self.muting.is_mute.store(false, Ordering::Relaxed);
        self.reset.send_modify(|count| *count += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, target: String, muting: Arc<Muting>, resets: watch::Receiver<u64>) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(&target).await else { continue };
        let (muting, mut resets) = (Arc::clone(&muting), resets.clone());
        resets.borrow_and_update();
        tokio::spawn(async move {
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::select! {
                () = carry(from_client, to_server, None) => {}
                () = carry(from_server, to_client, Some(&muting)) => {}
                _ = resets.changed() => {}
            }
        });
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, muting: Option<&Muting>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if let Some(muting) = muting
            && muting.is_mute.load(Ordering::Relaxed)
        {
            muting.lost_bytes.fetch_add(length as u64, Ordering::Relaxed);
        } else if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
