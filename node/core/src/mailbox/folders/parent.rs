//! Names that are no folder and have children, which IMAP lists as `\NonExistent`.

use super::{Folder, FolderError, load_all, save, valid_name};
use crate::node::Node;
use crate::store::StoreError;

/// The folders below `name`, in the order of their names.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn folders_below(node: &Node, name: &str) -> Result<Vec<Folder>, StoreError> {
    let prefix = format!("{name}/");
    let mut below = super::folders(node)?;
    below.retain(|folder| folder.name.starts_with(&prefix));
    below.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(below)
}

/// Renames the children of `from`, which is no folder, so that they are below `to` (RFC 3501
/// 6.3.5).
///
/// # Errors
/// When `from` has no children, one of them is special, or a new name is taken or not allowed.
pub async fn rename_below(node: &Node, from: &str, to: &str) -> Result<(), FolderError> {
    let (prefix, to) = (format!("{from}/"), valid_name(to)?);
    node.store
        .commit(move |tx| {
            if to.starts_with(&prefix) {
                return Err(FolderError::BadName);
            }
            let (children, others): (Vec<Folder>, Vec<Folder>) =
                load_all(tx)?.into_iter().partition(|folder| folder.name.starts_with(&prefix));
            if children.is_empty() {
                return Err(FolderError::NoSuchFolder);
            }
            if children.iter().any(|child| child.special.is_some()) {
                return Err(FolderError::Special);
            }
            if others.iter().any(|other| other.name == to) {
                return Err(FolderError::Exists);
            }
            for mut child in children {
                let rest = child.name.strip_prefix(&prefix).unwrap_or_default();
                let renamed = valid_name(&format!("{to}/{rest}"))?;
                if others.iter().any(|other| other.name == renamed) {
                    return Err(FolderError::Exists);
                }
                child.name = renamed;
                save(tx, &child)?;
            }
            Ok(())
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::{create_folder, folder};
    use crate::testing::TestNode;

    #[tokio::test]
    async fn children_of_a_missing_parent_are_renamed() {
        let alice = TestNode::new("alice").await;
        let child = create_folder(&alice, "a/b/c").await.unwrap();
        let sibling = create_folder(&alice, "ab/c").await.unwrap();
        let name = |id| folder(&alice, id).unwrap().unwrap().name;
        rename_below(&alice, "a", "x").await.unwrap();
        assert_eq!([name(child.id), name(sibling.id)], ["x/b/c", "ab/c"]);
        let below: Vec<_> = folders_below(&alice, "x").unwrap();
        assert_eq!(below.iter().map(|folder| folder.id).collect::<Vec<_>>(), [child.id]);
        create_folder(&alice, "taken").await.unwrap();
        create_folder(&alice, "y/b/c").await.unwrap();
        for (from, to, error) in [
            ("none", "z", FolderError::NoSuchFolder),
            ("x", "x/b", FolderError::BadName),
            ("x", "taken", FolderError::Exists),
            ("x", "y", FolderError::Exists),
            ("x", "", FolderError::BadName),
        ] {
            assert_eq!(rename_below(&alice, from, to).await, Err(error), "{from} {to}");
        }
        assert_eq!(name(child.id), "x/b/c", "a refused renaming changes nothing");
    }
}
