//! `minidock image`, which docker has in other words too: `images`, `rmi`, `tag` and so on.

use super::{SOME, Verb, verb};

mod filters;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod load;
pub(crate) mod ls;
pub(crate) mod prune;
pub(crate) mod rm;
mod row;
pub(crate) mod save;
pub(crate) mod tag;

/// What stands for a name that an image does not have.
const NONE: &str = "<none>";

/// Docker has most of them twice: the help names one.
pub(super) const VERBS: &[Verb] = &[
    verb::<history::History>("history", "[OPTIONS] IMAGE", 1..=1, "Show how an image was made"),
    Verb {
        hidden: true,
        ..verb::<history::History>(
            "image history",
            "[OPTIONS] IMAGE",
            1..=1,
            "Show how an image was made",
        )
    },
    Verb {
        hidden: true,
        ..verb::<import::Import>(
            "image import",
            "[OPTIONS] FILE|- [REPOSITORY[:TAG]]",
            1..=2,
            "Make an image of an archive of files",
        )
    },
    verb::<inspect::ImageInspect>(
        "image inspect",
        "[OPTIONS] IMAGE [IMAGE...]",
        SOME,
        "Show all that is known of images",
    ),
    Verb {
        hidden: true,
        ..verb::<ls::Images>("image ls", "[OPTIONS] [REPOSITORY[:TAG]]", 0..=1, "List images")
    },
    Verb {
        hidden: true,
        ..verb::<load::Load>(
            "image load",
            "[OPTIONS]",
            0..=0,
            "Take images from an archive that save has written",
        )
    },
    verb::<prune::ImagePrune>("image prune", "[OPTIONS]", 0..=0, "Remove images that are not used"),
    Verb {
        hidden: true,
        ..verb::<rm::Rmi>(
            "image rm",
            "[OPTIONS] IMAGE [IMAGE...]",
            SOME,
            "Remove images, or names of them",
        )
    },
    Verb {
        hidden: true,
        ..verb::<tag::Tag>(
            "image tag",
            "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
            2..=2,
            "Give an image a further name",
        )
    },
    Verb {
        hidden: true,
        ..verb::<save::Save>(
            "image save",
            "[OPTIONS] IMAGE [IMAGE...]",
            SOME,
            "Write images into an archive",
        )
    },
    verb::<ls::Images>("images", "[OPTIONS] [REPOSITORY[:TAG]]", 0..=1, "List images"),
    verb::<import::Import>(
        "import",
        "[OPTIONS] FILE|- [REPOSITORY[:TAG]]",
        1..=2,
        "Make an image of an archive of files",
    ),
    verb::<load::Load>(
        "load",
        "[OPTIONS]",
        0..=0,
        "Take images from an archive that save has written",
    ),
    verb::<rm::Rmi>("rmi", "[OPTIONS] IMAGE [IMAGE...]", SOME, "Remove images, or names of them"),
    verb::<save::Save>("save", "[OPTIONS] IMAGE [IMAGE...]", SOME, "Write images into an archive"),
    verb::<tag::Tag>(
        "tag",
        "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
        2..=2,
        "Give an image a further name",
    ),
];
