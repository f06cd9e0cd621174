//! One dead letter, sent again with another body.

use std::io::{Read as _, Write as _};
use std::path::Path;

use bytes::Bytes;
use gristmill_queue::{MessageId, QueueName, limits};

use crate::cli::confirm;
use crate::cli::door::Door;
use crate::cli::exit::{Exit, Failure};
use crate::cli::print::Screen;

/// Sends the letter again with the body in a file, or with what the person makes of it in an editor.
pub async fn redrive(
    door: &Door,
    queue: &QueueName,
    id: MessageId,
    from: Option<&Path>,
    dry_run: bool,
    yes: bool,
    screen: Screen,
) -> Result<(), Failure> {
    let letter = door.dead_letter(queue, id).await?;
    let (omitted, size) = (letter.body_omitted, letter.size);
    let old = letter.body.into_bytes()?;
    let new = match from {
        Some(file) => read(file)?,
        None if omitted => {
            let message = format!(
                "the body of {id} has {size} bytes, too many for an editor: `gristmill show {id} --body` writes it, and --body FILE gives the new one"
            );
            return Err(Failure::usage(message));
        }
        None => edit(&old)?,
    };
    let sizes = format!("{} bytes instead of {size}", new.len());
    if dry_run {
        return screen.result(&format!("{id} would be sent again with {sizes}"));
    }
    if from.is_none() && new == old {
        return Err(Failure::new(
            Exit::Failed,
            "the body is as it was: nothing was changed",
        ));
    }
    confirm::ask(&format!("Send {id} again to {queue} with {sizes}?"), yes)?;
    let edited = door.redrive_edited(queue, id, new).await?;
    if screen.json {
        return screen.json(&edited);
    }
    screen.result(&format!(
        "{} takes the place of {id}, which is its causation id",
        edited.id
    ))
}

fn read(file: &Path) -> Result<Bytes, Failure> {
    let mut body = Vec::new();
    // One byte more than can be sent, so that what is too large is refused and not cut.
    let most = limits::MAX_INLINE + 1;
    if file == Path::new("-") {
        std::io::stdin().take(most).read_to_end(&mut body)?;
    } else {
        let opened = std::fs::File::open(file).map_err(|error| {
            let message = format!("{} cannot be read: {error}", file.display());
            Failure::new(Exit::Failed, message)
        })?;
        opened.take(most).read_to_end(&mut body)?;
    }
    Ok(body.into())
}

/// Lets the person's own editor at a copy of the body.
fn edit(old: &Bytes) -> Result<Bytes, Failure> {
    let editor = ["VISUAL", "EDITOR"]
        .into_iter()
        .find_map(std::env::var_os)
        .ok_or_else(|| {
            Failure::usage("no editor is named: set EDITOR, or use --body FILE".to_owned())
        })?;
    let folder = std::env::temp_dir().join(format!("gristmill-edit-{}", std::process::id()));
    let edited = edit_in(&folder, &editor, old);
    // Nobody else is to find the body there.
    let _ = std::fs::remove_dir_all(&folder);
    edited
}

fn edit_in(folder: &Path, editor: &std::ffi::OsStr, old: &Bytes) -> Result<Bytes, Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().mode(0o700).create(folder)?;
    let file = folder.join("body");
    std::fs::File::create(&file)?.write_all(old)?;
    // By the shell, because an editor may be named with arguments.
    let mut command = editor.to_owned();
    command.push(" \"$1\"");
    let status = std::process::Command::new("sh")
        .arg("-c")
        .arg(&command)
        .arg("sh")
        .arg(&file)
        .status()?;
    if !status.success() {
        let message = format!("the editor ended with {status}: nothing was changed");
        return Err(Failure::new(Exit::Failed, message));
    }
    read(&file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_editor_changes_a_copy_and_one_that_fails_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let old = Bytes::from_static(b"old");
        let good = folder.path().join("good");
        let appended = edit_in(&good, "printf ' and new' >>".as_ref(), &old).unwrap();
        assert_eq!(appended, "old and new");
        let bad = folder.path().join("bad");
        let failure = edit_in(&bad, "false".as_ref(), &old).unwrap_err();
        assert!(
            failure.message.contains("nothing was changed"),
            "{}",
            failure.message
        );
    }
}
