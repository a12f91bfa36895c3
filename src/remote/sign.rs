//! Signature Version 4 of Amazon's services
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>).
//!
//! In a header, not in the address: addresses are logged by proxies, and one with a signature would carry the session's
//! token too. The crates that sign bring a URL library with Unicode's tables, 30 crates and a minute of building; this
//! is HMAC and three sorted lists, held to Amazon's published examples.

use std::fmt::Write as _;

use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};

use super::credentials::Credentials;

/// What is signed.
pub(super) struct Signable<'a> {
    pub(super) method: &'a str,
    /// The path as it is sent.
    pub(super) path: &'a str,
    /// Names and values, not encoded.
    pub(super) query: &'a [(&'a str, String)],
    /// Lower-case names and values, `host` among them.
    pub(super) headers: &'a [(&'a str, String)],
    /// [`sha256`] of the body.
    pub(super) body: &'a str,
    /// [`super::dates::compact`].
    pub(super) at: &'a str,
    pub(super) region: &'a str,
}

/// The value of the header `authorization`.
pub(super) fn authorization(request: &Signable<'_>, credentials: &Credentials) -> String {
    let mut headers: Vec<(&str, &str)> = request
        .headers
        .iter()
        .map(|(name, value)| (*name, value.trim()))
        .collect();
    headers.sort_unstable();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let mut canonical = format!(
        "{}\n{}\n{}\n",
        request.method,
        request.path,
        query_text(request.query)
    );
    for (name, value) in headers {
        let _ = writeln!(canonical, "{name}:{value}");
    }
    let _ = write!(canonical, "\n{names}\n{}", request.body);

    let day = &request.at[..8];
    let scope = format!("{day}/{}/s3/aws4_request", request.region);
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
        request.at,
        sha256(canonical.as_bytes())
    );
    let secret = format!("AWS4{}", credentials.secret());
    let key = [day, request.region, "s3", "aws4_request"]
        .iter()
        .fold(secret.into_bytes(), |key, part| mac(&key, part));
    format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={}",
        credentials.key,
        hex(&mac(&key, &to_sign))
    )
}

/// A query as it is sent and signed: sorted, encoded.
pub(super) fn query_text(query: &[(&str, String)]) -> String {
    let mut parts: Vec<(String, String)> = query
        .iter()
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
    parts.sort_unstable();
    let parts: Vec<String> = parts
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    parts.join("&")
}

/// `text` with everything but letters, digits and `-._~` as `%XX`.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The SHA-256 of `bytes` in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// The examples of Amazon's documentation, with its signatures.
    #[test]
    fn amazons_examples_have_amazons_signatures() {
        let credentials = Credentials::new(
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            None,
        );
        let header = |name, value: &str| (name, value.to_owned());
        let common = |body: &str| {
            vec![
                header("host", "examplebucket.s3.amazonaws.com"),
                header("x-amz-content-sha256", body),
                header("x-amz-date", "20130524T000000Z"),
            ]
        };
        let put_body = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
        assert_eq!(sha256(b"Welcome to Amazon S3."), put_body);
        let mut get = common(EMPTY);
        get.push(header("range", "bytes=0-9"));
        let mut put = common(put_body);
        put.push(header("date", "Fri, 24 May 2013 00:00:00 GMT"));
        put.push(header("x-amz-storage-class", "REDUCED_REDUNDANCY"));
        for (method, path, query, headers, body, signature) in [
            (
                "GET",
                "/test.txt",
                vec![],
                get,
                EMPTY,
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            (
                "PUT",
                "/test%24file.text",
                vec![],
                put,
                put_body,
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            ),
            (
                "GET",
                "/",
                vec![("lifecycle", String::new())],
                common(EMPTY),
                EMPTY,
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
            (
                "GET",
                "/",
                vec![("prefix", "J".to_owned()), ("max-keys", "2".to_owned())],
                common(EMPTY),
                EMPTY,
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            let request = Signable {
                method,
                path,
                query: &query,
                headers: &headers,
                body,
                at: "20130524T000000Z",
                region: "us-east-1",
            };
            let signed = authorization(&request, &credentials);
            assert!(
                signed.ends_with(&format!("Signature={signature}")),
                "{path}: {signed}"
            );
            assert!(!signed.contains("wJalr"), "{signed}");
        }
        assert_eq!(encoded("a b/ü$~"), "a%20b%2F%C3%BC%24~");
    }
}
