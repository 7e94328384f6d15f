//! [`IntoKeys`]: the argument of [`Statistic::group_by`](crate::Statistic::group_by), a list of fields or a tuple of
//! names and fields.

use crate::derive::Field;

/// The key fields of a statistic: any list of names or of fields, or a tuple of up to eight, in which names and fields
/// may be mixed. [`Statistic::group_by`](crate::Statistic::group_by) takes one.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{Statistic, arg};
///
/// let names = Statistic::named("by_status").group_by(["host", "status"]);
/// let fields = Statistic::named("by_campaign").group_by([arg("c").named("campaign"), arg("t").named("type")]);
/// let mixed = Statistic::named("mixed").group_by(("status", arg("c").named("campaign")));
/// ```
///
/// `Form` tells the two forms apart and is always inferred. Without it, the compiler would refuse the two
/// implementations: a later version of the standard library could make a tuple an iterator. Not to be implemented
/// outside of evs.
pub trait IntoKeys<Form> {
    /// The fields, in order.
    fn into_keys(self) -> Vec<Field>;
}

/// The keys are in a list.
#[doc(hidden)]
#[derive(Debug)]
pub enum List {}

/// The keys are in a tuple.
#[doc(hidden)]
#[derive(Debug)]
pub enum Tuple {}

impl<I> IntoKeys<List> for I
where
    I: IntoIterator,
    I::Item: Into<Field>,
{
    fn into_keys(self) -> Vec<Field> {
        self.into_iter().map(Into::into).collect()
    }
}

/// Implements [`IntoKeys`] for the tuples of one element, two elements and so on: each call takes one more type from
/// the right side of the `;` to the left.
macro_rules! tuples {
    ($($name:ident)*; $next:ident $($rest:ident)*) => {
        impl<$($name: Into<Field>,)* $next: Into<Field>> IntoKeys<Tuple> for ($($name,)* $next,) {
            #[expect(non_snake_case, reason = "a field has the name of its type")]
            fn into_keys(self) -> Vec<Field> {
                let ($($name,)* $next,) = self;
                vec![$($name.into(),)* $next.into()]
            }
        }
        tuples!($($name)* $next; $($rest)*);
    };
    ($($name:ident)*;) => {};
}

tuples!(; A B C D E F G H);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::{arg, field};

    #[test]
    fn lists_and_tuples_of_names_and_fields_are_keys() {
        let c = || arg("c").named("campaign");
        assert_eq!(["status"].into_keys(), [field("status")]);
        assert_eq!(vec!["a".to_owned(), "b".to_owned()].into_keys(), [field("a"), field("b")]);
        assert_eq!([c()].into_keys(), [c()]);
        assert_eq!(("status", c()).into_keys(), [field("status"), c()]);
        assert_eq!((c(), "status".to_owned(), "host").into_keys(), [c(), field("status"), field("host")]);
        assert_eq!(("a", "b", "c", "d", "e", "f", "g", c()).into_keys().len(), 8);
    }
}
