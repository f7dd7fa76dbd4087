//! The role of a container: of a task of ECS, or of a pod of EKS
//! (docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html).

use super::{Credentials, given, read, request};
use crate::http::Address;
use crate::{Environment, KmsError};
use std::path::Path;

/// The credentials of the role; none where no variable says that this is a container with one.
pub(super) async fn ask(environment: &Environment) -> Result<Option<Credentials>, KmsError> {
    let relative = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let address = match (relative, environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")) {
        (Some(path), _) => {
            Address::parse("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", &format!("http://169.254.170.2{path}"))?
        }
        (None, Some(uri)) => Address::parse("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri)?,
        (None, None) => return Ok(None),
    };
    let from_file = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    let from_file = from_file.map(|path| read(Path::new(path), MOST_OF_TOKEN)).transpose()?;
    let of_variable = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(str::as_bytes);
    let token = from_file.as_ref().map(|token| token.expose().trim_ascii()).or(of_variable);
    let request = request("GET", address.path(), token.map(|token| ("authorization", token)))?;
    let answer = address.send(environment, request).await?;
    given(&address, &answer).map(Some)
}

/// Bytes of a token.
const MOST_OF_TOKEN: usize = 16 * 1024;
