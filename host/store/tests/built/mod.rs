//! Which commit a failure is of.

/// What was built, as version control names it, to be told with a failure.
pub fn commit() -> String {
    let git = std::process::Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let told = git.ok().filter(|git| git.status.success());
    let told = told.map(|git| String::from_utf8_lossy(&git.stdout).trim().to_owned());
    told.unwrap_or_else(|| "unknown".to_owned())
}
