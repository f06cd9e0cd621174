//! Secrets in the file: what is said about them, and what is not.

use super::told;

#[test]
fn a_secret_is_not_written_here_and_not_shown() {
    told(
        r##"[queue.a]
handler = "a.wasm"
[handler.a]
secrets = { a = "hunter2", b = { value = "hunter2" }, c = ["hunter2"], d = 1234 }
"##,
        r##"error: `handler.a.secrets.a`: a secret is never written in this file
 --> etc/gristmill.toml:4:17
  |
4 | secrets = { a = *********, b = { value = ********* }, c = ***********, d = **** }
  |                 ^^^^^^^^^
  |
  = help: name where it is: { env = "VARIABLE" } or { file = "path" }

error: unknown key `handler.a.secrets.b.value`
 --> etc/gristmill.toml:4:34
  |
4 | secrets = { a = *********, b = { value = ********* }, c = ***********, d = **** }
  |                                  ^^^^^
  |
  = help: known here: env, file

error: `handler.a.secrets.c`: a secret is never written in this file
 --> etc/gristmill.toml:4:59
  |
4 | secrets = { a = *********, b = { value = ********* }, c = ***********, d = **** }
  |                                                           ^^^^^^^^^^^
  |
  = help: name where it is: { env = "VARIABLE" } or { file = "path" }

error: `handler.a.secrets.d`: a secret is never written in this file
 --> etc/gristmill.toml:4:76
  |
4 | secrets = { a = *********, b = { value = ********* }, c = ***********, d = **** }
  |                                                                            ^^^^
  |
  = help: name where it is: { env = "VARIABLE" } or { file = "path" }"##,
    );
}

#[test]
fn a_secret_in_the_wrong_place_is_not_shown() {
    told(
        r##"[queue.a]
handler = "a.wasm"
secrets = { a = "hunter2" }
[handler.a]
api_key = "hunter2"
secret = { a = "hunter2" }
"##,
        r##"error: unknown key `queue.a.secrets`
 --> etc/gristmill.toml:3:1
  |
3 | secrets = { a = ********* }
  | ^^^^^^^
  |
  = help: did you mean `handler.NAME.secrets`?

error: unknown key `handler.a.api_key`
 --> etc/gristmill.toml:5:1
  |
5 | api_key = *********
  | ^^^^^^^
  |
  = help: known here: send_to, reply, state, concurrency, timeout, max_timeout, cpu_time, memory, output, max_calls, max_sends, max_send_bytes, max_state_keys, max_state_bytes, env, config, secrets, require, form, on_failure, stdout_to, sha256

error: unknown key `handler.a.secret`
 --> etc/gristmill.toml:6:1
  |
6 | secret = { a = ********* }
  | ^^^^^^
  |
  = help: did you mean `secrets`?"##,
    );
}

#[test]
fn a_secret_that_is_not_toml_is_not_shown() {
    told(
        r##"[handler.a]
secrets = { a = "hunter2 }
"##,
        r##"error: not TOML: unclosed inline table, expected `}`
 --> etc/gristmill.toml:2:27
  |
2 | secrets = { a = **********
  |                           ^

error: not TOML: invalid basic string, expected `"`
 --> etc/gristmill.toml:2:27
  |
2 | secrets = { a = **********
  |                           ^"##,
    );
}

#[test]
fn a_secret_without_quotes_is_not_shown() {
    told(
        r##"[handler.a]
secrets = { a = hunter2, b = 3 }
"##,
        r##"error: not TOML: string values must be quoted, expected literal string
 --> etc/gristmill.toml:2:17
  |
2 | secrets = { a = *******, b = * }
  |                 ^^^^^^^"##,
    );
}

#[test]
fn a_secret_comes_from_one_place_that_has_one() {
    told(
        r##"[queue.a]
handler = "a.wasm"
[handler.a.secrets]
a = {}
b = { env = "A", file = "B" }
c = { env = "EMPTY" }
d = { env = "NOPE" }
e = { file = "nope" }
f = { env = 7 }
"##,
        r##"error: `handler.a.secrets.a` comes from nowhere
 --> etc/gristmill.toml:4:1
  |
4 | a = {}
  | ^
  |
  = help: name where it is: { env = "VARIABLE" } or { file = "path" }

error: `handler.a.secrets.b` names both a variable and a file
 --> etc/gristmill.toml:5:1
  |
5 | b = { env = "A", file = "B" }
  | ^
  |
  = help: keep one of them

error: `handler.a.secrets.c`: it is empty
 --> etc/gristmill.toml:6:13
  |
6 | c = { env = "EMPTY" }
  |             ^^^^^^^
  |
  = help: give it a value, or remove it here

error: `handler.a.secrets.d`: the environment variable "NOPE" is not set
 --> etc/gristmill.toml:7:13
  |
7 | d = { env = "NOPE" }
  |             ^^^^^^
  |
  = help: set it where the host is started, or name another

error: `handler.a.secrets.e`: etc/nope cannot be read: no such file
 --> etc/gristmill.toml:8:14
  |
8 | e = { file = "nope" }
  |              ^^^^^^
  |
  = help: make it a text file that the host may read

error: `handler.a.secrets.f.env` must be a text, not a whole number
 --> etc/gristmill.toml:9:13
  |
9 | f = { env = 7 }
  |             ^
  |
  = help: write it in quotes"##,
    );
}
