//! S3 on the folders of buckets, by the library [`s3s`], which reads requests, checks signatures and writes responses.
//!
//! - `reading` - objects and their content; `writing` - how a file becomes an object at once;
//! - `listing` - keys in S3's order; `uploads` - multipart uploads.
//!
//! A file that a program is still writing is not visible: it is in a folder of the bucket that is not part of it. An
//! object that is complete is moved to its path, which is one change and one event.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>

mod listing;
mod reading;
mod uploads;
mod writing;

use std::fs;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use s3s::auth::SimpleAuth;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Bucket as ListedBucket, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput,
    DeleteObjectsOutput, DeletedObject, ETag, GetBucketLocationInput, GetBucketLocationOutput,
    GetBucketVersioningInput, GetBucketVersioningOutput, GetObjectInput, GetObjectOutput, GetObjectTaggingInput,
    GetObjectTaggingOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListBucketsInput,
    ListBucketsOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectsInput, ListObjectsOutput,
    ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput, MetadataDirective, PutObjectInput,
    PutObjectOutput, Range, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::validation::NameValidation;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use tokio::task::spawn_blocking;

use self::reading::{Conditions, ETags, Facts, content};
use self::uploads::Upload;
use self::writing::{Temporary, headers, receive};
use super::reach::Reach;
use crate::folders::attributes::{Attributes, PUT_OBJECT};
use crate::folders::bucket::{Bucket, NotAPath, REGION, md5_of};
use crate::folders::own_changes::OwnChanges;

/// The buckets of the service, which a new config can change.
#[derive(Debug, Clone, Default)]
pub(super) struct Buckets(Arc<Mutex<Vec<Bucket>>>);

impl Buckets {
    /// Replaces the buckets.
    pub(super) fn set(&self, buckets: Vec<Bucket>) {
        buckets.iter().for_each(writing::remove_leftovers);
        *self.lock() = buckets;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Bucket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the service for these buckets. Requests must be signed with the secrets of `reach`.
pub(super) fn service(buckets: Buckets, own: OwnChanges, reach: &Reach) -> S3Service {
    let mut builder = S3ServiceBuilder::new(FolderS3 { buckets, own, etags: ETags::default() });
    builder.set_auth(SimpleAuth::from_single(reach.key.clone(), reach.secret.clone()));
    builder.set_validation(AnyBucketName);
    builder.build()
}

/// A bucket of the config is found by its name; another one does not exist, however it is named.
struct AnyBucketName;

impl NameValidation for AnyBucketName {
    fn validate_bucket_name(&self, _: &str) -> bool {
        true
    }
}

struct FolderS3 {
    buckets: Buckets,
    own: OwnChanges,
    etags: ETags,
}

impl FolderS3 {
    fn bucket(&self, name: &str) -> S3Result<Bucket> {
        self.buckets.lock().iter().find(|bucket| bucket.name == name).cloned().ok_or_else(|| {
            s3_error!(NoSuchBucket, "the config has no bucket `{name}`; name it in a route or under `local: buckets:`")
        })
    }

    /// Returns an object; its ETag may take a while to read.
    async fn facts(&self, bucket: &str, key: &str, version: Option<&str>) -> S3Result<Facts> {
        if version.is_some_and(|version| version != "null") {
            return Err(s3_error!(NoSuchVersion, "buckets on this machine have no versions"));
        }
        let (bucket, key, etags) = (self.bucket(bucket)?, key.to_owned(), self.etags.clone());
        blocking(move || Facts::read(&bucket, &key, &etags)).await
    }

    /// Returns the object that a copy is made of.
    async fn source(&self, source: &CopySource) -> S3Result<Facts> {
        match source {
            CopySource::Bucket { bucket, key, version_id } => self.facts(bucket, key, version_id.as_deref()).await,
            _ => Err(s3_error!(NotImplemented, "`dev` has no access points; copy from `BUCKET/KEY`")),
        }
    }

    /// Makes a complete file the object with this key.
    async fn publish(
        &self,
        bucket: &Bucket,
        key: &str,
        file: Temporary,
        attributes: Attributes,
        conditions: &Conditions,
    ) -> S3Result<Facts> {
        let path = bucket.path(key).map_err(|error| unplaceable(key, error))?;
        if conditions.name_an_etag() {
            let (bucket, key, etags) = (bucket.clone(), key.to_owned(), self.etags.clone());
            let current = blocking(move || Facts::read(&bucket, &key, &etags)).await?;
            conditions.check(&current)?;
        }
        let put = self.own.put(bucket, key, (&file.path, &path), &attributes, conditions.is_for_new_only());
        let metadata = match put {
            Ok(Some(metadata)) => metadata,
            Ok(None) => return Err(s3_error!(PreconditionFailed, "an object with this key exists")),
            Err(error) if is_occupied(&error) => return Err(unplaceable(key, NotAPath::Occupied)),
            Err(error) => return Err(internal(error)),
        };
        self.etags.learn(&path, &metadata, &attributes.etag);
        Ok(Facts { path, metadata, attributes })
    }
}

/// Returns the headers of a request's input that the object keeps.
macro_rules! headers_of {
    ($input:ident) => {
        headers([
            ("cache-control", $input.cache_control),
            ("content-disposition", $input.content_disposition),
            ("content-encoding", $input.content_encoding),
            ("content-language", $input.content_language),
            ("content-type", $input.content_type),
        ])
    };
}

#[async_trait]
impl S3 for FolderS3 {
    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let listed = |bucket: &Bucket| ListedBucket {
            name: Some(bucket.name.clone()),
            bucket_region: Some(REGION.to_owned()),
            creation_date: fs::metadata(&bucket.folder).ok().map(|folder| reading::modified(&folder)),
        };
        let mut buckets: Vec<ListedBucket> = self.buckets.lock().iter().map(listed).collect();
        buckets.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(S3Response::new(ListBucketsOutput { buckets: Some(buckets), ..ListBucketsOutput::default() }))
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.bucket(&request.input.bucket)?;
        let output = HeadBucketOutput { bucket_region: Some(REGION.to_owned()), ..HeadBucketOutput::default() };
        Ok(S3Response::new(output))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.bucket(&request.input.bucket)?;
        // S3 names no location for us-east-1.
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        self.bucket(&request.input.bucket)?;
        Ok(S3Response::new(GetBucketVersioningOutput::default()))
    }

    async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let GetObjectTaggingInput { bucket, key, version_id, .. } = request.input;
        self.facts(&bucket, &key, version_id.as_deref()).await?;
        Ok(S3Response::new(GetObjectTaggingOutput::default()))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let facts = self.facts(&input.bucket, &input.key, input.version_id.as_deref()).await?;
        let conditions = Conditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        conditions.check(&facts)?;
        Ok(S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: facts.header("cache-control"),
            content_disposition: facts.header("content-disposition"),
            content_encoding: facts.header("content-encoding"),
            content_language: facts.header("content-language"),
            content_length: Some(facts.size()),
            content_type: Some(facts.content_type()),
            e_tag: Some(facts.etag()),
            last_modified: Some(facts.modified()),
            metadata: facts.metadata(),
            ..HeadObjectOutput::default()
        }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let facts = self.facts(&input.bucket, &input.key, input.version_id.as_deref()).await?;
        let conditions = Conditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        conditions.check(&facts)?;
        let all = facts.metadata.len();
        let range = input.range.map(|range| range.check(all)).transpose()?;
        let content_range = range.as_ref().map(|range| format!("bytes {}-{}/{all}", range.start, range.end - 1));
        let range = range.unwrap_or(0..all);
        Ok(S3Response::new(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            body: Some(content(&facts, range.clone()).await?),
            cache_control: facts.header("cache-control"),
            content_disposition: facts.header("content-disposition"),
            content_encoding: facts.header("content-encoding"),
            content_language: facts.header("content-language"),
            content_length: Some(reading::signed(range.end - range.start)),
            content_range,
            content_type: Some(facts.content_type()),
            e_tag: Some(facts.etag()),
            last_modified: Some(facts.modified()),
            metadata: facts.metadata(),
            ..GetObjectOutput::default()
        }))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let bucket = &self.bucket(&input.bucket)?;
        bucket.path(&input.key).map_err(|error| unplaceable(&input.key, error))?;
        let file = Temporary::new(bucket).map_err(internal)?;
        let received = receive(input.body, &file.path, input.content_md5.as_deref()).await?;
        let attributes = Attributes {
            etag: received.etag(),
            reason: PUT_OBJECT.to_owned(),
            headers: headers_of!(input),
            metadata: input.metadata.into_iter().flatten().collect(),
        };
        let conditions =
            Conditions { if_match: input.if_match, if_none_match: input.if_none_match, ..Conditions::default() };
        let facts = self.publish(bucket, &input.key, file, attributes, &conditions).await?;
        Ok(S3Response::new(PutObjectOutput { e_tag: Some(facts.etag()), ..PutObjectOutput::default() }))
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = request.input;
        let source = self.source(&input.copy_source).await?;
        let conditions = Conditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            if_modified_since: input.copy_source_if_modified_since,
            if_unmodified_since: input.copy_source_if_unmodified_since,
        };
        conditions.check(&source).map_err(|_| S3Error::new(S3ErrorCode::PreconditionFailed))?;
        let bucket = &self.bucket(&input.bucket)?;
        let path = bucket.path(&input.key).map_err(|error| unplaceable(&input.key, error))?;
        let replaces = input.metadata_directive.is_some_and(|what| what.as_str() == MetadataDirective::REPLACE);
        if !replaces && path.canonicalize().is_ok_and(|path| path == source.path) {
            let why = "a copy of an object to itself must change something: set the metadata directive REPLACE";
            return Err(s3_error!(InvalidRequest, "{}", why));
        }
        let file = Temporary::new(bucket).map_err(internal)?;
        let (from, to, etag) = (source.path.clone(), file.path.clone(), source.attributes.etag.clone());
        let etag = blocking(move || {
            fs::copy(&from, &to).map_err(internal)?;
            // The ETag of an upload in parts belongs to its parts; that of a copy is the MD5.
            match etag.contains('-') {
                true => fs::File::open(&to).and_then(|mut file| md5_of(&mut file)).map_err(internal),
                false => Ok(etag),
            }
        })
        .await?;
        let (headers, metadata) = match replaces {
            true => (headers_of!(input), input.metadata.into_iter().flatten().collect()),
            false => (source.attributes.headers, source.attributes.metadata),
        };
        let attributes = Attributes { etag, reason: "CopyObject".to_owned(), headers, metadata };
        let facts = self.publish(bucket, &input.key, file, attributes, &Conditions::default()).await?;
        let result = CopyObjectResult {
            e_tag: Some(facts.etag()),
            last_modified: Some(facts.modified()),
            ..CopyObjectResult::default()
        };
        Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() }))
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.delete(&request.input.bucket, &request.input.key)?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let DeleteObjectsInput { bucket, delete, .. } = request.input;
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for object in delete.objects {
            match self.delete(&bucket, &object.key) {
                Ok(()) => deleted.push(DeletedObject { key: Some(object.key), ..DeletedObject::default() }),
                Err(error) if *error.code() == S3ErrorCode::NoSuchBucket => return Err(error),
                Err(error) => errors.push(s3s::dto::Error {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(object.key),
                    message: error.message().map(str::to_owned),
                    ..s3s::dto::Error::default()
                }),
            }
        }
        let deleted = (!delete.quiet.unwrap_or(false)).then_some(deleted);
        Ok(S3Response::new(DeleteObjectsOutput { deleted, errors: Some(errors), ..DeleteObjectsOutput::default() }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.list_v2(request.input).await.map(S3Response::new)
    }

    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        self.list_v1(request.input).await.map(S3Response::new)
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        let bucket = &self.bucket(&input.bucket)?;
        bucket.path(&input.key).map_err(|error| unplaceable(&input.key, error))?;
        let headers = headers_of!(input);
        let metadata = input.metadata.into_iter().flatten().collect();
        let id = Upload::create(bucket, &input.key, headers, metadata).map_err(internal)?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        let bucket = &self.bucket(&input.bucket)?;
        let upload = Upload::open(bucket, &input.upload_id, &input.key)?;
        let number = uploads::number(input.part_number)?;
        let file = Temporary::new(bucket).map_err(internal)?;
        let received = receive(input.body, &file.path, input.content_md5.as_deref()).await?;
        upload.add(number, &received.etag(), &file.path)?;
        let e_tag = Some(ETag::Strong(received.etag()));
        Ok(S3Response::new(UploadPartOutput { e_tag, ..UploadPartOutput::default() }))
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let input = request.input;
        let source = self.source(&input.copy_source).await?;
        let conditions = Conditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            if_modified_since: input.copy_source_if_modified_since,
            if_unmodified_since: input.copy_source_if_unmodified_since,
        };
        conditions.check(&source).map_err(|_| S3Error::new(S3ErrorCode::PreconditionFailed))?;
        let bucket = &self.bucket(&input.bucket)?;
        let upload = Upload::open(bucket, &input.upload_id, &input.key)?;
        let number = uploads::number(input.part_number)?;
        let range = input.copy_source_range.map(|range| Range::parse(&range)).transpose();
        let range = range.map_err(|_| s3_error!(InvalidArgument, "the range of the copy cannot be read"))?;
        let range = range.map(|range| range.check(source.metadata.len())).transpose()?;
        let file = Temporary::new(bucket).map_err(internal)?;
        let (from, to, modified) = (source.path.clone(), file.path.clone(), source.modified());
        let etag = blocking(move || uploads::copy_part(&from, range, &to).map_err(internal)).await?;
        upload.add(number, &etag, &file.path)?;
        let result = CopyPartResult {
            e_tag: Some(ETag::Strong(etag)),
            last_modified: Some(modified),
            ..CopyPartResult::default()
        };
        Ok(S3Response::new(UploadPartCopyOutput { copy_part_result: Some(result), ..UploadPartCopyOutput::default() }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let bucket = &self.bucket(&input.bucket)?;
        let upload = Upload::open(bucket, &input.upload_id, &input.key)?;
        let named = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let parts = upload.chosen(&named)?;
        let file = Temporary::new(bucket).map_err(internal)?;
        let to = file.path.clone();
        let etag = blocking(move || uploads::join(&parts, &to)).await?;
        let attributes = upload.attributes(etag);
        let conditions =
            Conditions { if_match: input.if_match, if_none_match: input.if_none_match, ..Conditions::default() };
        let facts = self.publish(bucket, &input.key, file, attributes, &conditions).await?;
        upload.remove().map_err(internal)?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            e_tag: Some(facts.etag()),
            key: Some(input.key),
            ..CompleteMultipartUploadOutput::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        let upload = Upload::open(&self.bucket(&input.bucket)?, &input.upload_id, &input.key)?;
        upload.remove().map_err(internal)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        let input = request.input;
        let upload = Upload::open(&self.bucket(&input.bucket)?, &input.upload_id, &input.key)?;
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            is_truncated: Some(false),
            key: Some(input.key),
            parts: Some(upload.listed()?),
            upload_id: Some(input.upload_id),
            ..ListPartsOutput::default()
        }))
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        let uploads = uploads::all(&self.bucket(&input.bucket)?, input.prefix.as_deref().unwrap_or_default());
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            is_truncated: Some(false),
            prefix: input.prefix,
            uploads: Some(uploads),
            ..ListMultipartUploadsOutput::default()
        }))
    }
}

impl FolderS3 {
    fn delete(&self, bucket: &str, key: &str) -> S3Result<()> {
        let bucket = self.bucket(bucket)?;
        // A key that no file can have is the key of no object.
        let Ok(path) = bucket.path(key) else { return Ok(()) };
        self.own.delete(&bucket, key, &path).map_err(internal)
    }
}

/// Runs what takes a while beside the endpoint.
async fn blocking<T: Send + 'static>(act: impl FnOnce() -> S3Result<T> + Send + 'static) -> S3Result<T> {
    spawn_blocking(act).await.unwrap_or_else(|error| Err(S3Error::internal_error(error)))
}

fn unplaceable(key: &str, error: NotAPath) -> S3Error {
    s3_error!(InvalidArgument, "the bucket is a folder here, and no file in it can have the key `{key}`: {error}")
}

fn internal(error: io::Error) -> S3Error {
    S3Error::with_message(S3ErrorCode::InternalError, error.to_string())
}

fn is_occupied(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, IsADirectory, NotADirectory};
    matches!(error.kind(), AlreadyExists | DirectoryNotEmpty | IsADirectory | NotADirectory)
}
