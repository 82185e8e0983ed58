//! The keys of a bucket, in S3's order.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>

use s3s::dto::{
    CommonPrefix, ETag, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
    Object, ObjectStorageClass,
};
use s3s::{S3Result, s3_error};

use super::reading::{ETags, Facts};
use super::{FolderS3, blocking};
use crate::folders::bucket::{Bucket, files_below};

/// A page has at most this many keys and common prefixes.
const PAGE_MAX: i32 = 1000;

/// Which keys a page has.
#[derive(Debug, Clone, Default)]
struct Query {
    prefix: String,
    /// Keys with the same text up to this one, after the prefix, are one common prefix.
    delimiter: Option<String>,
    /// The page begins after this key or common prefix.
    after: String,
    most: usize,
}

/// A page of a listing.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    keys: Vec<String>,
    common_prefixes: Vec<String>,
    /// Where the next page begins, if there is one.
    next: Option<String>,
}

impl Query {
    fn new(prefix: Option<&String>, delimiter: Option<&String>, after: String, most: Option<i32>) -> Self {
        Self {
            prefix: prefix.cloned().unwrap_or_default(),
            delimiter: delimiter.cloned().filter(|delimiter| !delimiter.is_empty()),
            after,
            most: usize::try_from(most.unwrap_or(PAGE_MAX).clamp(0, PAGE_MAX)).unwrap_or_default(),
        }
    }

    /// Returns the page of these keys, which are sorted.
    fn page(&self, keys: impl IntoIterator<Item = String>) -> Page {
        let mut page = Page::default();
        let mut last = None;
        for key in keys.into_iter().filter(|key| key.starts_with(&self.prefix) && *key > self.after) {
            let common = self.common_prefix(&key);
            let is_listed =
                |common| common == self.after || page.common_prefixes.last().is_some_and(|last| last == common);
            if common.is_some_and(is_listed) {
                continue;
            }
            if page.keys.len() + page.common_prefixes.len() == self.most {
                page.next = last;
                break;
            }
            last = Some(common.unwrap_or(&key).to_owned());
            match common {
                Some(common) => page.common_prefixes.push(common.to_owned()),
                None => page.keys.push(key),
            }
        }
        page
    }

    fn common_prefix<'a>(&self, key: &'a str) -> Option<&'a str> {
        let delimiter = self.delimiter.as_ref()?;
        let position = key.get(self.prefix.len()..)?.find(delimiter.as_str())?;
        key.get(..self.prefix.len() + position + delimiter.len())
    }
}

/// Returns the keys that begin with a prefix, sorted by their bytes.
fn keys(bucket: &Bucket, prefix: &str) -> Vec<String> {
    // Only the folder that the prefix names is read.
    let folder = match prefix.rsplit_once('/') {
        None => Some(bucket.folder.clone()),
        // As in the whole bucket, links to folders are not followed.
        Some((folder, _)) => {
            bucket.path(folder).ok().filter(|path| path.canonicalize().is_ok_and(|real| real == *path))
        }
    };
    let files = folder.map(|folder| files_below(&folder)).unwrap_or_default();
    let mut keys: Vec<String> = files.iter().filter_map(|file| bucket.key(file).ok()).collect();
    keys.retain(|key| key.starts_with(prefix));
    keys.sort_unstable();
    keys
}

/// Returns the page of a bucket, with its objects. What is no object, such as a link out of the folder, is left out.
fn list(bucket: &Bucket, query: &Query, etags: &ETags) -> (Vec<Facts>, Page) {
    let mut page = query.page(keys(bucket, &query.prefix));
    let mut objects = Vec::new();
    page.keys.retain(|key| match Facts::read(bucket, key, etags) {
        Ok(facts) => {
            objects.push(facts);
            true
        }
        Err(_) => false,
    });
    (objects, page)
}

/// A page as both versions of the operation return it.
struct Listed {
    contents: Vec<Object>,
    common_prefixes: Vec<CommonPrefix>,
    next: Option<String>,
}

impl FolderS3 {
    async fn list(&self, bucket: &str, query: Query, encoding: Encoding) -> S3Result<Listed> {
        let (bucket, etags) = (self.bucket(bucket)?, self.etags.clone());
        let (objects, page) = blocking(move || Ok(list(&bucket, &query, &etags))).await?;
        let object = |(key, facts): (&String, Facts)| Object {
            e_tag: Some(ETag::Strong(facts.attributes.etag.clone())),
            key: Some(encoding.of(key)),
            last_modified: Some(facts.modified()),
            size: Some(facts.size()),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            ..Object::default()
        };
        let common = |prefix: &String| CommonPrefix { prefix: Some(encoding.of(prefix)) };
        Ok(Listed {
            contents: page.keys.iter().zip(objects).map(object).collect(),
            common_prefixes: page.common_prefixes.iter().map(common).collect(),
            next: page.next,
        })
    }

    pub(super) async fn list_v2(&self, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        let encoding = Encoding::new(input.encoding_type.as_ref());
        let after = match &input.continuation_token {
            Some(token) => of_token(token)
                .ok_or_else(|| s3_error!(InvalidArgument, "the continuation token is not one of `dev`"))?,
            None => input.start_after.clone().unwrap_or_default(),
        };
        let query = Query::new(input.prefix.as_ref(), input.delimiter.as_ref(), after, input.max_keys);
        let most = query.most;
        let listed = self.list(&input.bucket, query, encoding).await?;
        let count = listed.contents.len() + listed.common_prefixes.len();
        Ok(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(encoding.of(&input.prefix.unwrap_or_default())),
            max_keys: i32::try_from(most).ok(),
            key_count: i32::try_from(count).ok(),
            continuation_token: input.continuation_token,
            is_truncated: Some(listed.next.is_some()),
            next_continuation_token: listed.next.as_deref().map(token),
            contents: Some(listed.contents),
            common_prefixes: Some(listed.common_prefixes),
            delimiter: input.delimiter.map(|delimiter| encoding.of(&delimiter)),
            encoding_type: input.encoding_type,
            start_after: input.start_after.map(|key| encoding.of(&key)),
            ..ListObjectsV2Output::default()
        })
    }

    pub(super) async fn list_v1(&self, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
        let encoding = Encoding::new(input.encoding_type.as_ref());
        let after = input.marker.clone().unwrap_or_default();
        let query = Query::new(input.prefix.as_ref(), input.delimiter.as_ref(), after, input.max_keys);
        let most = query.most;
        let listed = self.list(&input.bucket, query, encoding).await?;
        Ok(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(encoding.of(&input.prefix.unwrap_or_default())),
            marker: Some(encoding.of(&input.marker.unwrap_or_default())),
            max_keys: i32::try_from(most).ok(),
            is_truncated: Some(listed.next.is_some()),
            contents: Some(listed.contents),
            common_prefixes: Some(listed.common_prefixes),
            delimiter: input.delimiter.map(|delimiter| encoding.of(&delimiter)),
            next_marker: listed.next.map(|next| encoding.of(&next)),
            encoding_type: input.encoding_type,
            ..ListObjectsOutput::default()
        })
    }
}

/// How keys are written in the response: some have characters that XML cannot hold.
#[derive(Debug, Clone, Copy)]
enum Encoding {
    Plain,
    Url,
}

impl Encoding {
    fn new(asked: Option<&EncodingType>) -> Self {
        match asked.map(EncodingType::as_str) {
            Some(EncodingType::URL) => Self::Url,
            _ => Self::Plain,
        }
    }

    fn of(self, key: &str) -> String {
        match self {
            Self::Plain => key.to_owned(),
            Self::Url => key.bytes().fold(String::new(), |encoded, byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => {
                    encoded + char::from(byte).encode_utf8(&mut [0; 4])
                }
                _ => encoded + &format!("%{byte:02X}"),
            }),
        }
    }
}

/// Returns the continuation token for the page after a key.
fn token(after: &str) -> String {
    after.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn of_token(token: &str) -> Option<String> {
    let digits = |position| token.get(position..position + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let bytes: Option<Vec<u8>> = (0..token.len()).step_by(2).map(digits).collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Returns the pages of these keys, each as `key key | prefix prefix`.
    fn pages(all: &[&str], prefix: &str, delimiter: &str, most: i32) -> Vec<String> {
        let mut query = Query::new(Some(&prefix.into()), Some(&delimiter.into()), String::new(), Some(most));
        let mut pages = Vec::new();
        loop {
            let page = query.page(all.iter().map(|key| (*key).to_owned()));
            pages.push(format!("{} | {}", page.keys.join(" "), page.common_prefixes.join(" ")));
            match page.next {
                Some(next) => query.after = of_token(&token(&next)).expect("is a token"),
                None => return pages,
            }
        }
    }

    #[test]
    fn a_listing_is_sorted_and_paged_as_s3_does_it() {
        let keys = ["a-b", "a/1", "a/2", "b", "c/d/1", "c/d/2", "c/e", "é"];
        for (prefix, delimiter, most, expected) in [
            ("", "", 1000, vec!["a-b a/1 a/2 b c/d/1 c/d/2 c/e é | "]),
            ("", "/", 1000, vec!["a-b b é | a/ c/"]),
            ("c/", "/", 1000, vec!["c/e | c/d/"]),
            ("a", "", 1000, vec!["a-b a/1 a/2 | "]),
            ("a/", "", 1, vec!["a/1 | ", "a/2 | "]),
            ("", "/", 2, vec!["a-b | a/", "b | c/", "é | "]),
            ("", "/", 1, vec!["a-b | ", " | a/", "b | ", " | c/", "é | "]),
            ("x", "/", 1000, vec![" | "]),
            ("", "", 0, vec![" | "]),
        ] {
            assert_eq!(pages(&keys, prefix, delimiter, most), expected, "{prefix:?} {delimiter:?} {most}");
        }
    }

    #[test]
    fn keys_are_those_of_the_files_in_the_order_of_their_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let bucket = Bucket::open("b", folder.path()).expect("can be opened");
        for path in ["a/1", "a-b", "a", "z/y/x"].iter().filter(|path| **path != "a") {
            let path = bucket.folder.join(path);
            fs::create_dir_all(path.parent().expect("is in a folder")).expect("is made");
            fs::write(path, "").expect("is written");
        }
        for (prefix, expected) in [
            ("", vec!["a-b", "a/1", "z/y/x"]),
            ("a", vec!["a-b", "a/1"]),
            ("z/y", vec!["z/y/x"]),
            ("z/y/", vec!["z/y/x"]),
            ("../", vec![]),
            ("none/", vec![]),
            ("/", vec![]),
        ] {
            assert_eq!(keys(&bucket, prefix), expected, "{prefix:?}");
        }
    }

    #[test]
    fn keys_that_xml_cannot_hold_are_encoded() {
        assert_eq!(Encoding::Url.of("a b+é\u{1}/c"), "a%20b%2B%C3%A9%01/c");
        assert_eq!(Encoding::Plain.of("a b"), "a b");
    }

    #[test]
    fn a_token_of_something_else_is_refused() {
        assert_eq!(of_token("xyz"), None);
        assert_eq!(of_token("a"), None);
        assert_eq!(of_token("ff"), None);
    }
}
