//! An upload in parts, for what is too long for one request.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::request::{Ask, Failure, header, text_of};
use super::{PART_BYTES, S3};
use crate::remote::{Existing, Put, RemoteError, xml};

/// Parts of an upload; a server takes 10,000.
const MAX_PARTS: u64 = 9_000;

impl S3 {
    pub(super) fn put_parts(
        &self,
        name: &str,
        file: &File,
        bytes: u64,
        existing: Existing,
    ) -> Result<Put, RemoteError> {
        let begin = Ask {
            query: vec![("uploads", String::new())],
            ..Ask::new("POST", name)
        };
        let upload = self.ask(&begin, |response| match response.status().as_u16() {
            200..=299 => {
                let upload = xml::field(&text_of(response)?, "UploadId");
                upload.ok_or_else(|| Failure::Passing("it named no upload".to_owned(), None))
            }
            _ => Err(self.as_refused(Some(name), response)),
        })?;
        let put = self.put_parts_of(name, file, bytes, &upload, existing);
        if !matches!(put, Ok(Put::New)) {
            // Parts that nobody completes are paid for until somebody removes them.
            let abort = Ask {
                query: vec![("uploadId", upload.clone())],
                ..Ask::new("DELETE", name)
            };
            let _ = self.send(&abort);
        }
        put
    }

    fn put_parts_of(
        &self,
        name: &str,
        mut file: &File,
        bytes: u64,
        upload: &str,
        existing: Existing,
    ) -> Result<Put, RemoteError> {
        use std::fmt::Write as _;

        let part_bytes = PART_BYTES.max(bytes.div_ceil(MAX_PARTS));
        let sink = |error| RemoteError::Sink(error);
        file.seek(SeekFrom::Start(0)).map_err(sink)?;
        let mut list = String::from("<CompleteMultipartUpload>");
        let mut buffer = Vec::new();
        for number in 1..=bytes.div_ceil(part_bytes) {
            buffer.clear();
            file.take(part_bytes)
                .read_to_end(&mut buffer)
                .map_err(sink)?;
            let part = Ask {
                query: vec![
                    ("partNumber", number.to_string()),
                    ("uploadId", upload.to_owned()),
                ],
                body: &buffer,
                ..Ask::new("PUT", name)
            };
            let tag = self.ask(&part, |response| match response.status().as_u16() {
                200..=299 => header(response.headers(), "etag")
                    .ok_or_else(|| Failure::Passing("a part has no ETag".to_owned(), None)),
                _ => Err(self.as_refused(Some(name), response)),
            })?;
            let tag = tag.replace('&', "&amp;").replace('<', "&lt;");
            let _ = write!(
                list,
                "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
            );
        }
        list += "</CompleteMultipartUpload>";
        let complete = Ask {
            query: vec![("uploadId", upload.to_owned())],
            body: list.as_bytes(),
            ..Ask::new("POST", name)
        };
        self.put_once(complete, existing)
    }
}
