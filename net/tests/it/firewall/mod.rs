//! The firewall, with packets.

mod flows;
mod frames;
mod isolation;
mod origin;
mod published;
mod world;
