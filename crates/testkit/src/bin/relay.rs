//! A relay that copies bytes between a client and one origin: the floor under any simple proxy.
//! It must not look at what it copies.
#![forbid(unsafe_code)]

use std::env;
use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};

const USAGE: &str = "usage: relay --to ADDR [--port PORT]";
/// Bytes of one read, and of the write that follows it.
const BUFFER_BYTES: usize = 16 * 1024;
/// Connections that the kernel keeps for us until we accept them.
const BACKLOG: i32 = 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let (mut port, mut to) = (0, None);
    let mut arguments = env::args().skip(1);
    while let (Some(flag), value) = (arguments.next(), arguments.next().unwrap_or_default()) {
        match flag.as_str() {
            "--port" => port = value.parse().map_err(|_| usage(&flag, &value))?,
            "--to" => to = Some(value.parse().map_err(|_| usage(&flag, &value))?),
            _ => return Err(usage(&flag, &value)),
        }
    }
    let to = to.ok_or_else(|| usage("--to", ""))?;
    let listener = listen(port)?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (client, _) = listener.accept().await?;
        // Either side may go at any time; that ends this connection and nothing else.
        tokio::spawn(async move { relay(client, to).await.ok() });
    }
}

/// As a worker of Herder listens.
fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Copies both ways until both ended.
async fn relay(mut client: TcpStream, to: SocketAddr) -> io::Result<()> {
    let mut origin = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    origin.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_origin, to_origin) = origin.split();
    tokio::try_join!(copy(from_client, to_origin), copy(from_origin, to_client))?;
    Ok(())
}

async fn copy(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
    let mut buffer = [0; BUFFER_BYTES];
    loop {
        match from.read(&mut buffer).await? {
            0 => return to.shutdown().await,
            count => to.write_all(&buffer[..count]).await?,
        }
    }
}

fn usage(flag: &str, value: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{flag} {value:?}: {USAGE}"))
}
