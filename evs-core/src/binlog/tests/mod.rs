mod behaviour;
mod crash;
mod damage;
mod fixture;
mod positions;
mod world;
