use super::*;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await;
    (listener.accept().await.unwrap().0, client.unwrap())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_kernel_is_told_how_long_to_wait_for_a_silent_client() {
    let (server, _client) = pair().await;
    tune(&server, Duration::from_secs(40)).unwrap();
    let timeout = SockRef::from(&server).tcp_user_timeout().unwrap();
    assert_eq!(timeout, Some(Duration::from_secs(40)));
}
