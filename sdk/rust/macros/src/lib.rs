//! The attribute that turns a function into a Gristmill handler.
//!
//! It knows how a handler's function has to look and what to say if it does not. What the function
//! is called with, and what becomes of its result, is the business of `gristmill-sdk`, which
//! exports the attribute; nobody depends on this crate alone.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{FnArg, ItemFn, Signature};

/// Makes a function the handler of this component.
///
/// The function takes a `gristmill_sdk::Message` and returns `()`, `Result<(), Failure>` or
/// `Result<(), E>` with any error that converts into `Failure`. It stays an ordinary function, so
/// native tests can call it. A crate has at most one handler.
///
/// `#[handler(batch)]` lets it take batches as well: it is called for each message of one, and what
/// it sent and stored for a message that fails is undone.
#[proc_macro_attribute]
pub fn handler(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let form = match arguments.to_string().as_str() {
        "" => Ok(Form::Single),
        "batch" => Ok(Form::Each),
        _ => Err("#[handler] takes no arguments but one: write #[handler], or #[handler(batch)]"),
    };
    attribute(form, item)
}

/// Makes a function that takes whole batches the handler of this component.
///
/// The function takes a `Vec<gristmill_sdk::Message>` and returns a `Vec` with exactly one `()`,
/// `Result<(), Failure>` or `Result<(), E>` for each message, in their order. A message that comes
/// alone is a batch of one. A crate has at most one handler.
#[proc_macro_attribute]
pub fn batch_handler(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let form = if arguments.is_empty() {
        Ok(Form::Whole)
    } else {
        Err("#[batch_handler] takes no arguments: write #[batch_handler] alone")
    };
    attribute(form, item)
}

/// What a handler's function is called with.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// One message, always.
    Single,
    /// One message, also of a batch.
    Each,
    /// All messages of a batch.
    Whole,
}

fn attribute(form: Result<Form, &str>, item: TokenStream) -> TokenStream {
    let result = match form {
        Ok(form) => syn::parse(item).and_then(|function| expand(form, &function)),
        Err(problem) => Err(syn::Error::new(proc_macro2::Span::call_site(), problem)),
    };
    result
        .unwrap_or_else(|problem| problem.into_compile_error())
        .into()
}

fn expand(form: Form, function: &ItemFn) -> syn::Result<Tokens> {
    check(form, &function.sig)?;
    let name = &function.sig.ident;
    let (right_type, one) = if form == Form::Whole {
        let verdicts = quote! { verdicts.into_iter().map(::gristmill_sdk::Verdict::into_result) };
        (
            quote! {
                const _: fn(::std::vec::Vec<::gristmill_sdk::Message>)
                    -> ::std::vec::Vec<::core::result::Result<(), ::gristmill_sdk::Failure>> =
                    |messages| {
                        let verdicts: ::std::vec::Vec<_> = #name(messages);
                        #verdicts.collect()
                    };
            },
            quote! { call_alone },
        )
    } else {
        (
            quote! {
                const _: fn(::gristmill_sdk::Message)
                    -> ::core::result::Result<(), ::gristmill_sdk::Failure> =
                    |message| ::gristmill_sdk::Verdict::into_result(#name(message));
            },
            quote! { call },
        )
    };
    let batches = match form {
        Form::Single => Tokens::new(),
        Form::Each => export_batches(name, &quote! { call_each }),
        Form::Whole => export_batches(name, &quote! { call_batch }),
    };
    Ok(quote! {
        // The message is the handler's own, whether or not it makes use of that.
        #[allow(clippy::needless_pass_by_value)]
        #function

        // On every target, so that a wrong type is reported by a native build too.
        #right_type

        #[cfg(target_family = "wasm")]
        const _: () = {
            struct GristmillHandler;

            impl ::gristmill_sdk::component::Guest for GristmillHandler {
                fn handle(
                    message: ::gristmill_sdk::component::Message,
                ) -> ::core::result::Result<(), ::gristmill_sdk::component::Failure> {
                    ::gristmill_sdk::component::#one(#name, message)
                }
            }

            ::gristmill_sdk::component::export!(
                GristmillHandler with_types_in ::gristmill_sdk::component::bindings
            );
        };

        #batches
    })
}

fn export_batches(name: &syn::Ident, call: &Tokens) -> Tokens {
    quote! {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct GristmillHandler;

            impl ::gristmill_sdk::component::BatchGuest for GristmillHandler {
                fn handle_batch(
                    messages: ::std::vec::Vec<::gristmill_sdk::component::Message>,
                ) -> ::std::vec::Vec<::gristmill_sdk::component::Outcome> {
                    ::gristmill_sdk::component::#call(#name, messages)
                }
            }

            ::gristmill_sdk::component::export_batches!(
                GristmillHandler with_types_in ::gristmill_sdk::component::batch_bindings
            );
        };
    }
}

fn check(form: Form, signature: &Signature) -> syn::Result<()> {
    let refuse = |what: &dyn quote::ToTokens, why: &str| Err(syn::Error::new_spanned(what, why));
    if let Some(asyncness) = &signature.asyncness {
        return refuse(
            asyncness,
            "a handler is not async: a delivery is one call, and what waits in it blocks nobody else",
        );
    }
    if !signature.generics.params.is_empty() {
        return refuse(
            &signature.generics,
            "a handler has no generic parameters: the host calls it with a Message",
        );
    }
    if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
        return refuse(
            receiver,
            "a handler is a free function: move it out of the impl block",
        );
    }
    if signature.inputs.len() != 1 {
        return refuse(
            signature,
            match form {
                Form::Single | Form::Each => {
                    "a handler takes one argument: fn handle(message: Message) -> Result<(), Failure>"
                }
                Form::Whole => {
                    "a handler of batches takes one argument: fn handle(messages: Vec<Message>) -> \
                     Vec<Result<(), Failure>>"
                }
            },
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(source: &str) -> Option<String> {
        let function = syn::parse_str::<ItemFn>(source).unwrap();
        let of = |form| expand(form, &function).err().map(|error| error.to_string());
        assert_eq!(of(Form::Single).is_some(), of(Form::Whole).is_some());
        assert_eq!(of(Form::Single), of(Form::Each));
        of(Form::Single)
    }

    #[test]
    fn a_plain_function_of_one_argument_is_taken_whole() {
        for source in [
            "fn handle(message: Message) -> Result<(), Failure> { Ok(()) }",
            "pub fn handle(_: Message) {}",
        ] {
            assert_eq!(problem(source), None, "{source}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_cure() {
        for (source, cure) in [
            ("async fn handle(message: Message) {}", "not async"),
            ("fn handle<T>(message: T) {}", "no generic parameters"),
            ("fn handle(&self) {}", "free function"),
            ("fn handle() {}", "one argument"),
            ("fn handle(a: Message, b: u8) {}", "one argument"),
        ] {
            let said = problem(source).unwrap_or_default();
            assert!(said.contains(cure), "{source}: {said}");
        }
    }
}
