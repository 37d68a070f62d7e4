//! The codec of all services: prost's, behind the count.

use std::marker::PhantomData;

use bytes::Buf;
use prost::{Message, Name};
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstDecoder, ProstEncoder};

use super::{count, table};
use crate::detail::ErrorDetail;

/// Encodes `T` and decodes `U`, which is refused as INVALID_REQUEST if it holds more than [`table`] allows.
#[derive(Clone, Copy, Debug)]
pub struct BoundedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Name + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(ProstDecoder::default())
    }
}

/// The half that decodes.
#[derive(Clone, Debug)]
pub struct BoundedDecoder<U>(ProstDecoder<U>);

impl<U: Message + Name + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let message = buffer.chunk();
        // The library reads a message into one piece.
        let is_whole = message.len() == buffer.remaining();
        let checked =
            if is_whole { count::check(message, &table::bounds(U::NAME)) } else { Err(count::Error::Malformed) };
        checked.map_err(ErrorDetail::from)?;
        self.0.decode(buffer)
    }
}
