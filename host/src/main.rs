//! The binary: everything it does is in the library.

fn main() -> std::process::ExitCode {
    gristmill::cli::main()
}
