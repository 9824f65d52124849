//! Every error in the one shape that its route promises.
