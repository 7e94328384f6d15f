mod behaviour;
mod crash;
mod damage;
mod fixture;
#[cfg(feature = "inspect")]
mod inspect;
mod positions;
mod world;
