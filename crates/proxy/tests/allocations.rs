//! A connection that has served a few requests serves the next ones without touching the heap.
//! The clients and the instance are threads that allocate nothing themselves while it is counted.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "data_plane/plane.rs"]
mod plane;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use plane::Setup;

#[global_allocator]
static COUNTED: dhat::Alloc = dhat::Alloc;

/// Requests between two looks at the count.
const WINDOW: usize = 100;
const WINDOWS: usize = 21;
const CONNECTIONS: usize = 4;

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nSet-Cookie: a=b\r\n\
    Content-Length: 16\r\n\r\n0123456789abcdef";
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
    10\r\n0123456789abcdef\r\n0\r\n\r\n";

const GET: &[u8] = b"GET /cart?item=7 HTTP/1.1\r\nHost: shop.example:8080\r\n\r\n";
const BROWSER: &[u8] = b"GET /cart HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Mozilla/5.0\r\n\
    Accept: text/html;q=0.9\r\nAccept-Language: en\r\nAccept-Encoding: gzip, br\r\n\
    Cookie: session=0123456789abcdef; theme=dark\r\nReferer: http://shop.example/\r\n\
    X-Forwarded-For: 192.0.2.9\r\nX-Request-Id: 0123456789abcdef\r\n\
    Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\r\n";
const POST: &[u8] = b"POST /cart HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\n\r\nhello";
const UPLOAD: &[u8] = b"PUT /cart HTTP/1.1\r\nHost: shop.example\r\n\
    Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";

/// An instance that answers each read with one response: the requests here come in one piece.
fn instance(response: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for accepted in listener.incoming() {
            let Ok(mut stream) = accepted else { return };
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                while stream.read(&mut request).is_ok_and(|bytes| bytes > 0) {
                    stream.write_all(response).unwrap();
                }
            });
        }
    });
    addr
}

/// A client that reads answers of a known length.
struct Client {
    stream: TcpStream,
    answer_bytes: usize,
}

impl Client {
    fn connect(addr: SocketAddr, request: &[u8], body: &[u8]) -> Self {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = [0; 4096];
        let mut answer_bytes = 0;
        while !answer[..answer_bytes].ends_with(body) {
            let bytes = stream.read(&mut answer[answer_bytes..]).unwrap();
            assert!(bytes > 0, "{}", answer[..answer_bytes].escape_ascii());
            answer_bytes += bytes;
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
        Self { stream, answer_bytes }
    }

    fn ask(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
        let mut answer = [0; 4096];
        self.stream.read_exact(&mut answer[..self.answer_bytes]).unwrap();
    }
}

/// The median of what so many windows of requests allocate. A pause of the machine may let a
/// connection rest and take memory again, so that a single window says nothing.
fn allocated(setup: Setup, request: &[u8], response: &'static [u8]) -> u64 {
    let plane = setup.serving([instance(response)]);
    let body = &response[response.len() - 5..];
    let connect = |_| Client::connect(plane.addr(), request, body);
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(connect).collect();
    let mut counts = Vec::with_capacity(WINDOWS);
    for _ in 0..WINDOWS {
        let before = dhat::HeapStats::get().total_blocks;
        for turn in 0..WINDOW {
            clients[turn % CONNECTIONS].ask(request);
        }
        counts.push(dhat::HeapStats::get().total_blocks - before);
    }
    counts.sort_unstable();
    counts[WINDOWS / 2]
}

#[test]
fn a_request_on_a_warm_connection_allocates_nothing() {
    let _counting = dhat::Profiler::builder().testing().build();
    let check = |what: &str, request: &[u8], response: &'static [u8]| {
        let blocks = allocated(Setup::default(), request, response);
        assert_eq!(blocks, 0, "{what}: heap blocks in {WINDOW} requests");
    };
    check("a plain request", GET, RESPONSE);
    check("a browser's request", BROWSER, RESPONSE);
    check("a response in chunks", GET, CHUNKED);
    check("content of a length", POST, RESPONSE);
    check("content in chunks", UPLOAD, CHUNKED);

    // Lines are gathered in batches, and a batch is a block: ten in a second, or one per 32 KiB.
    let setup = Setup { has_access_log: true, ..Setup::default() };
    let blocks = allocated(setup, BROWSER, RESPONSE);
    assert!(blocks < 5, "with an access log: {blocks} heap blocks in {WINDOW} requests");
}
