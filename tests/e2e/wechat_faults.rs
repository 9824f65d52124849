//! WeChat slow, broken, contradictory or gone.
