//! Killed or stopped, nothing that was answered is lost.
