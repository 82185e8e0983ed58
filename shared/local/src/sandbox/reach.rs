//! How the tasks of `dev` reach its endpoint: by the environment variables that AWS SDKs read.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, create_dir_all, remove_file};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::folders::bucket::REGION;
use crate::payloads::STATE_FOLDER;

/// The length of a secret, in bytes.
const SECRET_BYTES: usize = 16;
/// The variables that give a task credentials. If the config sets one, the task does not get those of `dev`.
const CREDENTIALS: [&str; 6] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
];
/// The file with the variables, in the folder of `dev`'s own files.
const FILE: &str = "endpoint.env";

/// The endpoint's address, and the secrets by which it recognizes the tasks of this `dev`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The host and port that the endpoint listens on.
    pub host: String,
    /// The access key id. Each signed request names it.
    pub key: String,
    /// The secret access key. It never travels.
    pub secret: String,
    /// The secret path prefix that authorizes unsigned requests: in the URL of a task's agent, and of workers' queues.
    pub path: String,
}

impl Reach {
    /// Creates the secrets for an endpoint at this host and port.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new(host: String) -> io::Result<Self> {
        let key = format!("DEV{}", random()?.to_uppercase());
        Ok(Self { host, key, secret: random()?, path: format!("/{}", random()?) })
    }

    /// Returns the endpoint's URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.host)
    }

    /// Adds the variables to a task's environment. The environment's own take precedence; a task with its own
    /// credentials still calls AWS.
    pub fn add_to(&self, environment: &mut BTreeMap<String, String>, task_id: &str, is_of_worker: bool) {
        let mut added = Vec::new();
        let has = |name: &str| environment.contains_key(name);
        if !CREDENTIALS.iter().any(|name| has(name)) {
            added.push(("AWS_ENDPOINT_URL", self.url()));
            added.push(("AWS_ACCESS_KEY_ID", self.key.clone()));
            added.push(("AWS_SECRET_ACCESS_KEY", self.secret.clone()));
        }
        if !has("AWS_REGION") && !has("AWS_DEFAULT_REGION") {
            // Some SDKs read only one of them.
            added.push(("AWS_REGION", REGION.to_owned()));
            added.push(("AWS_DEFAULT_REGION", REGION.to_owned()));
        }
        if is_of_worker {
            // The queues of workers are here, also if the worker has credentials of its own.
            added.push(("AWS_ENDPOINT_URL_SQS", format!("{}{}", self.url(), self.path)));
            added.push(("ECS_AGENT_URI", format!("{}{}/agent/{task_id}", self.url(), self.path)));
        }
        for (name, value) in added {
            environment.entry(name.to_owned()).or_insert(value);
        }
    }

    /// Writes the variables to a file that only this user can read, for programs that `dev` does not start. The file is
    /// removed when the answer is dropped.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, project: &Path) -> io::Result<ReachFile> {
        let mut variables = BTreeMap::new();
        self.add_to(&mut variables, "", false);
        let folder = project.join(STATE_FOLDER);
        create_dir_all(&folder)?;
        let path = folder.join(FILE);
        // Another user may have made a file there: it is not written to.
        let _ = remove_file(&path);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        for (name, value) in variables {
            writeln!(file, "{name}={value}")?;
        }
        Ok(ReachFile { path })
    }
}

/// The file with the variables.
#[derive(Debug)]
pub struct ReachFile {
    /// The file's path.
    pub path: PathBuf,
}

impl Drop for ReachFile {
    fn drop(&mut self) {
        // A file that is left names secrets that no endpoint accepts.
        let _ = remove_file(&self.path);
    }
}

/// Returns random hexadecimal digits, for a secret.
fn random() -> io::Result<String> {
    let mut bytes = [0; SECRET_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use expect_test::{Expect, expect};

    use super::*;

    fn reach() -> Reach {
        Reach { host: "127.0.0.1:1".into(), key: "KEY".into(), secret: "SECRET".into(), path: "/PATH".into() }
    }

    fn check(own: &[(&str, &str)], is_of_worker: bool, expected: Expect) {
        let mut environment = own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        reach().add_to(&mut environment, "t", is_of_worker);
        let lines: Vec<String> = environment.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        expected.assert_eq(&lines.concat());
    }

    #[test]
    fn a_task_finds_the_endpoint() {
        check(
            &[],
            false,
            expect![[r#"
                AWS_ACCESS_KEY_ID=KEY
                AWS_DEFAULT_REGION=us-east-1
                AWS_ENDPOINT_URL=http://127.0.0.1:1
                AWS_REGION=us-east-1
                AWS_SECRET_ACCESS_KEY=SECRET
            "#]],
        );
    }

    #[test]
    fn a_worker_also_finds_its_queues_and_its_agent() {
        check(
            &[("AWS_ACCESS_KEY_ID", "own"), ("AWS_SECRET_ACCESS_KEY", "own"), ("AWS_DEFAULT_REGION", "eu-west-1")],
            true,
            expect![[r#"
                AWS_ACCESS_KEY_ID=own
                AWS_DEFAULT_REGION=eu-west-1
                AWS_ENDPOINT_URL_SQS=http://127.0.0.1:1/PATH
                AWS_SECRET_ACCESS_KEY=own
                ECS_AGENT_URI=http://127.0.0.1:1/PATH/agent/t
            "#]],
        );
    }

    #[test]
    fn an_endpoint_of_the_configs_own_stays() {
        check(
            &[("AWS_ENDPOINT_URL", "http://localhost:4566")],
            false,
            expect![[r#"
                AWS_ACCESS_KEY_ID=KEY
                AWS_DEFAULT_REGION=us-east-1
                AWS_ENDPOINT_URL=http://localhost:4566
                AWS_REGION=us-east-1
                AWS_SECRET_ACCESS_KEY=SECRET
            "#]],
        );
    }

    #[test]
    fn the_file_is_for_this_user_and_goes_with_the_endpoint() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = reach().write(folder.path()).expect("is written");
        let path = file.path.clone();
        let mode = std::fs::metadata(&path).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(std::fs::read_to_string(&path).expect("is read").contains("AWS_SECRET_ACCESS_KEY=SECRET\n"));
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn each_endpoint_has_secrets_of_its_own() {
        let [one, other] = [1, 2].map(|_| Reach::new("h".into()).expect("has random bytes"));
        assert!(one.key != other.key && one.secret != other.secret && one.path != other.path);
    }
}
