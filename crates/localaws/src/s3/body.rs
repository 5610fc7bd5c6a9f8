//! Bodies as they come: plain, or in `aws-chunked` pieces, signed or not, with or without trailers.

use crate::error::ApiError;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;

/// The bytes that were meant.
pub(super) fn decode(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, ApiError> {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let chunked = header("x-amz-content-sha256").starts_with("STREAMING-")
        || header("content-encoding")
            .split(',')
            .any(|coding| coding.trim() == "aws-chunked");
    if !chunked {
        return Ok(body.clone());
    }
    let decoded =
        join(body).ok_or_else(|| ApiError::bad("IncompleteBody", "The request body terminated unexpectedly"))?;
    let promised = header("x-amz-decoded-content-length").parse().ok();
    if promised.is_some_and(|length: usize| length != decoded.len()) {
        let words = "You did not provide the number of bytes specified by the Content-Length HTTP header";
        return Err(ApiError::bad("IncompleteBody", words));
    }
    Ok(decoded)
}

/// `<hex length>[;chunk-signature=...]\r\n<bytes>\r\n`, ended by a chunk of length zero; trailers after it are not
/// looked at.
fn join(body: &[u8]) -> Option<Bytes> {
    let mut rest = body;
    let mut whole = BytesMut::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let line = std::str::from_utf8(&rest[..end]).ok()?;
        let length = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        rest = &rest[end + 2..];
        if length == 0 {
            return Some(whole.freeze());
        }
        whole.extend_from_slice(rest.get(..length)?);
        rest = rest.get(length..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(body: &str, length: &str) -> Result<Bytes, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert("content-encoding", "aws-chunked".parse().unwrap());
        headers.insert("x-amz-decoded-content-length", length.parse().unwrap());
        decode(&headers, &Bytes::from(body.to_owned()))
    }

    #[test]
    fn chunks_are_joined_with_and_without_signatures_and_trailers() {
        assert_eq!(decoded("5\r\nhello\r\n0\r\n\r\n", "5").unwrap(), "hello");
        let signed = "3;chunk-signature=ab\r\nhel\r\n2;chunk-signature=cd\r\nlo\r\n0;chunk-signature=ef\r\nx-amz-checksum-crc32:AA==\r\n\r\n";
        assert_eq!(decoded(signed, "5").unwrap(), "hello");
    }

    #[test]
    fn a_body_that_breaks_off_is_refused() {
        assert_eq!(decoded("5\r\nhel", "5").unwrap_err().code, "IncompleteBody");
        assert_eq!(
            decoded("5\r\nhello\r\n0\r\n\r\n", "6").unwrap_err().code,
            "IncompleteBody"
        );
    }
}
