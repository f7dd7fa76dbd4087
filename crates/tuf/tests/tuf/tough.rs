//! The table, as `tough` judges it: the client of TUF that Bottlerocket updates by.

use crate::cases::{Laid, lay_out};
use crate::maker::WANTED;
use std::fs;
use std::path::Path;
use tough::{FilesystemTransport, IntoVec, RepositoryLoader, TargetName};
use url::Url;

#[test]
fn tough_takes_what_is_good_and_nothing_else() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    for Laid { case, dir } in lay_out(dir.path()) {
        let state = dir.join("tough");
        fs::create_dir(&state).unwrap();
        let root = fs::read(dir.join("root.json")).unwrap();
        if case.has_updated {
            let before = runtime.block_on(update(&root, &dir.join("before"), &state));
            assert_eq!(before, Ok(Some(b"firmware, the second".to_vec())), "{}", case.name);
        }
        let after = runtime.block_on(update(&root, &dir.join("after"), &state));
        let is_taken = matches!(&after, Ok(Some(bytes)) if bytes == b"firmware, the second");
        assert_eq!(is_taken, case.is_taken(), "{}: {after:?}", case.name);
    }
}

async fn update(root: &Vec<u8>, share: &Path, state: &Path) -> Result<Option<Vec<u8>>, String> {
    let at = |folder| Url::from_directory_path(share.join(folder)).unwrap();
    let loader = RepositoryLoader::new(root, at("metadata"), at("targets"));
    let repository =
        loader.transport(FilesystemTransport).datastore(state).load().await.map_err(|e| e.to_string())?;
    let name = TargetName::new(WANTED).unwrap();
    let Some(stream) = repository.read_target(&name).await.map_err(|e| e.to_string())? else {
        return Ok(None);
    };
    stream.into_vec().await.map(Some).map_err(|e| e.to_string())
}
