//! todo
/// todo
#[derive(Debug)]
pub struct TarSink;
