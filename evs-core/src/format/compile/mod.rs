//! Compiles a format string of nginx or Apache into the steps that read a line of it.
//!
//! `$remote_addr [$msec] $status` has three steps, for example: a token up to ` [`, a time up to `] `, and a number up
//! to the end of the line. A step knows its variable's class, the literal after the value, and how many of the
//! following steps must match for the value to end there. Both readers work by these steps: the reference walks them,
//! and the fast path makes its template of them.
//!
//! # Adding a variable
//!
//! A variable that nginx prints without blanks goes into one of the lists of `class`: a number, a token, or a list,
//! and in each case the list for values that may be empty if they may. Nothing else changes. In doubt, leave it out:
//! it is then loose, and read correctly all the same.
//!
//! A class of its own needs more: its end in `reference/nginx.rs`, its checks in `fast/template/checks.rs`, and a
//! value for the sample line in `fast/template/locate.rs`. The property tests compare the two readers over all
//! classes.

mod apache;
mod class;
mod compiler;
mod escape;
mod forgery;
mod haproxy;
mod needle;
mod piece;
mod steps;
mod w3c;

pub(crate) use self::class::{is_list, is_of_client};
pub(super) use self::{
    apache::QUERY,
    class::Class,
    compiler::{Language, compile},
    escape::Escape,
    steps::{Literal, Step, Steps, Tail},
    w3c::{FIELDS, Header, is_directive, nginx_name, without_quotes},
};
