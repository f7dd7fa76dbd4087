//! The role of an instance of EC2, by its metadata service, version 2
//! (docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html). Version 1 is not asked:
//! it answers anybody who can have the instance send a GET.

use super::{Credentials, given, no_credentials, request};
use crate::http::Address;
use crate::{Environment, KmsError};

/// The credentials of the role. It is the last place to look: without an answer there are none.
pub(super) async fn ask(environment: &Environment) -> Result<Credentials, KmsError> {
    const NOWHERE: &str = "none are in the environment, in a file or by a container's role";
    if environment.says("AWS_EC2_METADATA_DISABLED") {
        return Err(no_credentials(format!("{NOWHERE}, and AWS_EC2_METADATA_DISABLED is set")));
    }
    let named = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or("http://169.254.169.254");
    let address = Address::parse("AWS_EC2_METADATA_SERVICE_ENDPOINT", named)?;
    let ttl = request("PUT", "/latest/api/token", Some(("x-aws-ec2-metadata-token-ttl-seconds", b"60")))?;
    let token = address.send(environment, ttl).await;
    let token =
        token.map_err(|error| no_credentials(format!("{NOWHERE}, and no instance's metadata: {error}")))?;
    if !token.status.is_success() {
        return Err(no_credentials(format!(
            "{NOWHERE}, and the metadata service gives no token: {}",
            token.status
        )));
    }
    let get = |path: &str| {
        request("GET", path, Some(("x-aws-ec2-metadata-token", token.body.expose().trim_ascii())))
    };
    let roles = address.send(environment, get(ROLES)?).await?;
    let role = std::str::from_utf8(roles.body.expose()).ok().and_then(|text| text.lines().next());
    // IAM allows letters, digits and +=,.@_- in the name of a role.
    let is_name = |name: &&str| {
        (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte))
    };
    let role = role.map(str::trim).filter(is_name).filter(|_| roles.status.is_success());
    let role = role.ok_or_else(|| no_credentials(format!("{NOWHERE}, and the instance has no role")))?;
    let answer = address.send(environment, get(&format!("{ROLES}{role}"))?).await?;
    given(&address, &answer)
}

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
