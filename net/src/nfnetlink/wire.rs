//! Netlink messages as bytes: headers, attributes and answers (`netlink(7)`, the kernel's
//! `include/uapi/linux/netfilter/{nfnetlink,nf_tables}.h`). Pure.

use super::kernel;

/// The header of a message, the header that all of netfilter share, and attributes behind them.
const HEADERS: usize = 20;

/// Attributes, each padded to four bytes, one after the other.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    /// One with a payload of bytes.
    pub(crate) fn bytes(&mut self, kind: u16, payload: &[u8]) -> &mut Self {
        // What is too long for the field is refused by the kernel: the length does not fit.
        let length = u16::try_from(payload.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(payload);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// A text, which the kernel wants with a NUL.
    pub(crate) fn text(&mut self, kind: u16, text: &str) -> &mut Self {
        self.bytes(kind, &[text.as_bytes(), &[0]].concat())
    }

    /// A number, big-endian as nearly everywhere in netfilter.
    pub(crate) fn number(&mut self, kind: u16, number: u32) -> &mut Self {
        self.bytes(kind, &number.to_be_bytes())
    }

    /// One that holds others.
    pub(crate) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(kind | kernel::NESTED, &inner.0)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a message is: its type with the subsystem, its flags and the family of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) family: u8,
}

impl Head {
    /// A message to a part of netfilter.
    pub(crate) fn new((part, kind): (u16, u16), flags: u16, family: u8) -> Self {
        Self { kind: part << 8 | kind, flags, family }
    }

    /// The message that begins or ends a batch: its third field says whose batch it is.
    pub(crate) fn batch(kind: u16) -> Self {
        Self { kind, flags: 0, family: 0 }
    }

    /// Appends the message.
    pub(crate) fn write(self, sequence: u32, attributes: &Attributes, out: &mut Vec<u8>) {
        let start = out.len();
        let length = u32::try_from(HEADERS + attributes.0.len()).unwrap_or(u32::MAX);
        out.extend(length.to_ne_bytes());
        out.extend(self.kind.to_ne_bytes());
        out.extend((self.flags | kernel::REQUEST).to_ne_bytes());
        out.extend(sequence.to_ne_bytes());
        out.extend(0_u32.to_ne_bytes());
        let of_batch = matches!(self.kind, kernel::BATCH_BEGIN | kernel::BATCH_END);
        let resource = if of_batch { kernel::NF_TABLES } else { 0 };
        out.extend([self.family, 0]);
        out.extend(resource.to_be_bytes());
        out.extend(&attributes.0);
        debug_assert_eq!((out.len() - start) % 4, 0);
    }
}

/// One message of the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    payload: &'a [u8],
}

/// The kernel's verdict on one message: an errno, 0 for none, and its explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) errno: i32,
    pub(crate) text: Option<String>,
}

impl<'a> Message<'a> {
    /// The family, of a table or of addresses.
    pub(crate) fn family(&self) -> Option<u8> {
        self.payload.first().copied()
    }

    /// The attributes behind the header that all of netfilter share.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        attributes(self.payload.get(4..).unwrap_or_default())
    }

    /// Reads an NLMSG_ERROR, which answers both what was done and what was refused.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let errno = -i32::from_ne_bytes(*self.payload.first_chunk()?);
        if self.flags & kernel::ACK_TLVS == 0 {
            return Some(Verdict { errno, text: None });
        }
        // The header of the refused message follows, and all of it where it is not capped.
        let refused = u32::from_ne_bytes(*self.payload.get(4..)?.first_chunk()?) as usize;
        let skipped = if self.flags & kernel::CAPPED == 0 { refused } else { 16 };
        let rest = self.payload.get(4 + skipped.next_multiple_of(4)..).unwrap_or_default();
        let text = find(attributes(rest), kernel::ACK_TEXT).map(|bytes| text(bytes).into_owned());
        Some(Verdict { errno, text })
    }

    /// The errno at the end of a dump, 0 for none.
    pub(crate) fn done(&self) -> i32 {
        self.payload.first_chunk().map_or(0, |bytes| -i32::from_ne_bytes(*bytes))
    }
}

/// The messages of one datagram. What is cut off ends them.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
        let (head, payload) = bytes.get(..length)?.split_at_checked(16)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        let short = |at: usize| u16::from_ne_bytes([head[at], head[at + 1]]);
        let sequence = u32::from_ne_bytes([head[8], head[9], head[10], head[11]]);
        Some(Message { kind: short(4), flags: short(6), sequence, payload })
    })
}

/// The attributes that follow one another in `bytes`, without the flags of their types.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(*bytes.first_chunk()?));
        let (head, payload) = bytes.get(..length)?.split_at_checked(4)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([head[2], head[3]]) & !kernel::TYPE_FLAGS, payload))
    })
}

/// The payload of the first attribute of a type.
pub(crate) fn find<'a>(
    mut attributes: impl Iterator<Item = (u16, &'a [u8])>,
    kind: u16,
) -> Option<&'a [u8]> {
    attributes.find(|(found, _)| *found == kind).map(|(_, payload)| payload)
}

/// A text up to its NUL.
pub(crate) fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_their_lengths_are_not() {
        let mut written = Attributes::default();
        written.text(1, "abcd").number(2, 7).nested(3, |inner| {
            inner.bytes(4, &[9]);
        });
        let expected = [
            9_u16.to_ne_bytes().as_slice(),
            &1_u16.to_ne_bytes(),
            b"abcd\0\0\0\0",
            &8_u16.to_ne_bytes(),
            &2_u16.to_ne_bytes(),
            &[0, 0, 0, 7],
            &12_u16.to_ne_bytes(),
            &0x8003_u16.to_ne_bytes(),
            &5_u16.to_ne_bytes(),
            &4_u16.to_ne_bytes(),
            &[9, 0, 0, 0],
        ]
        .concat();
        assert_eq!(written.as_bytes(), expected);
        let read: Vec<_> = attributes(written.as_bytes()).collect();
        assert_eq!(read[0], (1, b"abcd\0".as_slice()));
        assert_eq!(text(read[0].1), "abcd");
        assert_eq!(read[1], (2, [0, 0, 0, 7].as_slice()));
        assert_eq!(attributes(read[2].1).collect::<Vec<_>>(), [(4, [9].as_slice())]);
    }

    #[test]
    fn messages_read_back_with_their_headers() {
        let mut bytes = Vec::new();
        let mut body = Attributes::default();
        body.text(1, "t");
        Head::batch(kernel::BATCH_BEGIN).write(4, &Attributes::default(), &mut bytes);
        Head::new((kernel::NF_TABLES, 0), 0x400, 7).write(5, &body, &mut bytes);
        assert_eq!(bytes[18..20], [0, 10], "whose batch it is");
        let read: Vec<_> = messages(&bytes).collect();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].kind, read[0].sequence), (0x10, 4));
        assert_eq!((read[1].kind, read[1].sequence, read[1].family()), (0xa00, 5, Some(7)));
        assert_eq!(read[1].flags, 0x400 | kernel::REQUEST);
        assert_eq!(find(read[1].attributes(), 1), Some(b"t\0".as_slice()));
    }

    /// An NLMSG_ERROR with the header of a message of `refused` bytes, and `rest` behind it.
    fn answer(flags: u16, refused: u32, rest: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + 4 + 16 + rest.len()).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kernel::ERROR.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([3, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend((-17_i32).to_ne_bytes());
        bytes.extend(refused.to_ne_bytes());
        bytes.extend([0; 12]);
        bytes.extend(rest);
        bytes
    }

    #[test]
    fn a_refusal_is_read_with_its_explanation() {
        let mut explanation = Attributes::default();
        explanation.number(2, 20).text(kernel::ACK_TEXT, "is there");
        let verdict = |bytes: &[u8]| messages(bytes).next().unwrap().verdict().unwrap();
        let with_text = Verdict { errno: 17, text: Some("is there".to_owned()) };
        let capped = kernel::ACK_TLVS | kernel::CAPPED;
        assert_eq!(verdict(&answer(capped, 800, explanation.as_bytes())), with_text);
        let whole = [&[1, 2, 3, 4], explanation.as_bytes()].concat();
        assert_eq!(verdict(&answer(kernel::ACK_TLVS, 20, &whole)), with_text);
        assert_eq!(verdict(&answer(0, 20, &[])), Verdict { errno: 17, text: None });
        assert_eq!(verdict(&answer(capped, 800, &[])), Verdict { errno: 17, text: None });
    }

    #[test]
    fn what_is_cut_off_or_nonsense_ends_the_reading() {
        let mut body = Attributes::default();
        body.text(1, "table").number(2, 1);
        let mut bytes = Vec::new();
        Head::new((kernel::NF_TABLES, 0), 0, 1).write(1, &body, &mut bytes);
        for length in 0..bytes.len() {
            assert_eq!(messages(&bytes[..length]).count(), 0);
        }
        for (cut, whole) in [(3, 0), (9, 0), (10, 1), (19, 1), (20, 2)] {
            assert_eq!(attributes(&body.as_bytes()[..cut]).count(), whole, "{cut}");
        }
        for zeros in 0..40 {
            assert_eq!(attributes(&vec![0; zeros]).count(), 0);
            assert_eq!(messages(&vec![0; zeros]).count(), 0);
        }
    }
}
