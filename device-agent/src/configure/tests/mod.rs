mod applied;
mod planned;

const UUID: &str = "0123456789abcdef0123456789abcdef";
