use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await;
    (listener.accept().await.unwrap().0, client.unwrap())
}

fn connection(stream: TcpStream) -> Connection {
    let slots = Arc::new(Semaphore::new(1));
    Connection {
        lane: Arc::new(Lane::new(stream)),
        _open: Counted::new(Metrics::new().unwrap().http.active_connections.clone()),
        _slot: slots.try_acquire_owned().unwrap(),
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_kernel_is_told_how_long_to_wait_for_a_silent_client() {
    let (server, _client) = pair().await;
    tune(&server, Duration::from_secs(40)).unwrap();
    let timeout = SockRef::from(&server).tcp_user_timeout().unwrap();
    assert_eq!(timeout, Some(Duration::from_secs(40)));
}

#[tokio::test]
async fn a_cut_ends_a_writer_that_hangs_and_a_reader_that_waits() {
    let (server, mut client) = pair().await;
    let connection = connection(server);
    let lane = Arc::clone(&connection.lane);
    let (mut reader, mut writer) = tokio::io::split(connection);
    let hanging = tokio::spawn(async move {
        let block = vec![0_u8; 1 << 20];
        while writer.write_all(&block).await.is_ok() {}
    });
    let waiting = tokio::spawn(async move { reader.read_u8().await.is_err() });
    // The client reads nothing: the writer hangs as soon as the kernel's buffers are full.
    tokio::time::timeout(Duration::from_millis(200), async {
        while !hanging.is_finished() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap_err();
    lane.cut();
    hanging.await.unwrap();
    assert!(waiting.await.unwrap());
    // What it had not read is gone, and it sees a reset rather than an end.
    let mut rest = Vec::new();
    assert!(client.read_to_end(&mut rest).await.is_err());
}
