mod read;
mod sink;
