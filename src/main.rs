//! The `sortie` program: hands over to [`sortie::cli`], and reports the exit code.

fn main() -> std::process::ExitCode {
    sortie::cli::main()
}
