//! The same over TCP.

use crate::client::instant;
use localaws::world::BUCKET;
use localaws::{Fault, FaultKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

async fn exchange(address: std::net::SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /{BUCKET}/k HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: AWS4-HMAC-SHA256 Credential=A/20261123/eu-west-1/s3/aws4_request\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn it_answers_over_tcp_without_a_date_and_loses_replies_by_closing() {
    let aws = instant();
    aws.aws.put_object(BUCKET, "k", "hello");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let server = tokio::spawn(localaws::serve(aws.aws.clone(), listener, async move {
        let _ = ended.await;
    }));
    let answer = exchange(address).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"),
        "{answer}"
    );
    assert!(!answer.to_ascii_lowercase().contains("\r\ndate:"), "{answer}");
    aws.aws.inject(Fault::on("GetObject", FaultKind::LostReply));
    assert_eq!(exchange(address).await, "");
    end.send(()).unwrap();
    server.await.unwrap().unwrap();
}
