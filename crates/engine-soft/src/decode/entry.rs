//! One line of the decode table.

use super::cube::Cube;
use super::kind::Kind;

/// One line of the table: a set of words that mean the same thing.
///
/// The set is `pattern` without `except`. The exceptions are what the manual's tables write as
/// "!= 11111" or as rows of reserved values; each of them is claimed by another line.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pattern: Cube,
    except: &'static [Cube],
    kind: Kind,
    mnemonic: &'static str,
    class: &'static str,
}

impl Entry {
    /// A line for the tables of this module, see [`entries!`].
    pub(super) const fn new(
        class: &'static str,
        pattern: Cube,
        except: &'static [Cube],
        kind: Kind,
        mnemonic: &'static str,
    ) -> Self {
        Self { pattern, except, kind, mnemonic, class }
    }

    /// The words of the line, exceptions not yet taken away.
    #[must_use]
    pub const fn pattern(&self) -> Cube {
        self.pattern
    }

    /// Words of [`Entry::pattern`] that belong to other lines.
    #[must_use]
    pub const fn except(&self) -> &'static [Cube] {
        self.except
    }

    /// What the words mean.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The instruction's name in assembly language without its condition, or the empty text for
    /// words that are no instruction of this engine. Never an alias: `subs` for what
    /// disassemblers print as `cmp`.
    #[must_use]
    pub const fn mnemonic(&self) -> &'static str {
        self.mnemonic
    }

    /// The encoding class, a heading of [DDI0487 C4.1].
    #[must_use]
    pub const fn class(&self) -> &'static str {
        self.class
    }

    /// Whether the line claims `word`.
    #[must_use]
    pub fn contains(&self, word: u32) -> bool {
        self.pattern.contains(word) && !self.except.iter().any(|cube| cube.contains(word))
    }
}

/// Builds a `static ENTRIES: &[Entry]` from lines in the notation of the manual:
///
/// ```text
/// "encoding class" {
///     "pattern" => Kind "mnemonic";
///     "pattern" => Group(Kind) "mnemonic";
///     "pattern" except ["pattern", ..] => Unallocated;
/// }
/// ```
macro_rules! entries {
    (@except) => { &[] };
    (@except [$($pattern:literal),+ $(,)?]) => {
        const { &[$($crate::decode::cube::Cube::parse($pattern)),+] }
    };
    (@except $name:ident) => { $name };
    (@kind Unimplemented($feature:ident)) => {
        $crate::decode::kind::Kind::Unimplemented($crate::decode::kind::Feature::$feature)
    };
    (@kind $group:ident($kind:ident)) => {
        $crate::decode::kind::Kind::$group($crate::decode::kind::$group::$kind)
    };
    (@kind $kind:ident) => { $crate::decode::kind::Kind::$kind };
    ($($class:literal {
        $($pattern:literal $(except $except:tt)? =>
            $kind:ident $(($member:ident))? $($mnemonic:literal)?;)+
    })+) => {
        /// The lines of this part, in the manual's order.
        pub(super) static ENTRIES: &[$crate::decode::entry::Entry] = &[$($(
            $crate::decode::entry::Entry::new(
                $class,
                $crate::decode::cube::Cube::parse($pattern),
                $crate::decode::entry::entries!(@except $($except)?),
                $crate::decode::entry::entries!(@kind $kind $(($member))?),
                concat!("" $(, $mnemonic)?),
            ),
        )+)+];
    };
}
pub(super) use entries;
