//! What one connection may do to a server by frames alone, before any call is made of them.
//!
//! Each is the library's own limit, set here so that it stays when the library's default moves:
//!
//! | who sends | bound | past it |
//! |---|---|---|
//! | streams that are opened and reset at once | `RESETS_UNSEEN` that no service has taken yet | GOAWAY, closed |
//! | streams that the server has to reset, as malformed | `RESETS_CAUSED` | GOAWAY, closed |
//! | headers, CONTINUATION frames | `HEADER_LIST_BYTES` decoded; the library bounds the frames too | refused, closed |
//! | streams at the same time | the node's own number | refused, to be tried again |
//! | a PING or SETTINGS whose answer it does not read | one answer; nothing is read before it is written | its socket fills; closed as one that takes nothing |

use tonic::transport::Server;

/// Streams of one connection that were reset by its client before a service took them.
const RESETS_UNSEEN: usize = 20;

/// Streams of one connection that the server had to reset.
const RESETS_CAUSED: usize = 1_024;

/// Largest list of headers of one call, bytes as HPACK counts them.
const HEADER_LIST_BYTES: u32 = 16 * 1024;

/// The server with these bounds, and with so many streams at the same time on one connection.
pub fn bounded(server: Server, streams: u32) -> Server {
    server
        .max_concurrent_streams(streams)
        .http2_max_header_list_size(HEADER_LIST_BYTES)
        .http2_max_pending_accept_reset_streams(Some(RESETS_UNSEEN))
        .http2_max_local_error_reset_streams(Some(RESETS_CAUSED))
}
