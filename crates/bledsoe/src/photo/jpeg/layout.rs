//! The layout of a JPEG, read from its markers (ITU-T T.81, annex B): what must be known before it is decoded.

/// What the markers of the first image in a file say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::photo) struct JpegLayout {
    /// Whether the image has its end marker; decoders fill in grey for what a truncated one lacks.
    pub ends: bool,
    /// What the frame's header says, if there is one.
    pub frame: Option<Frame>,
    /// Whether Adobe's marker is there, after which CMYK is stored inverted.
    pub adobe: bool,
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::photo) struct Frame {
    /// Pixels in a row.
    pub width: u16,
    /// Number of rows.
    pub height: u16,
    /// Number of colour components; 4 is CMYK or YCCK.
    pub components: u8,
    /// Which process codes the frame.
    process: u8,
}

impl Frame {
    /// From the segment after the frame's marker.
    fn of(marker: u8, segment: &[u8]) -> Option<Self> {
        let &[_, _, _, h1, h0, w1, w0, components, ..] = segment else { return None };
        let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
        Some(Self { width, height, components, process: marker & 0x0f })
    }

    /// Whether it is made of blocks of 8 x 8 frequencies, of which fewer give a smaller picture: all but the lossless.
    pub fn has_frequencies(self) -> bool {
        self.process & 0x03 != 3
    }

    /// Whether all its frequencies must be kept until the last is read, in whatever size it is decoded.
    pub fn is_progressive(self) -> bool {
        self.process & 0x03 == 2
    }
}

const END: u8 = 0xd9;
const SCAN: u8 = 0xda;
const ADOBE: u8 = 0xee;

impl JpegLayout {
    /// Walks from marker to marker. Segments are skipped by their lengths, so the end of a thumbnail inside one, or
    /// what follows the end, is not taken for the image's own.
    pub fn of(bytes: &[u8]) -> Self {
        Self::until(bytes, |_| false)
    }

    /// The frame's header alone, without walking through the picture's data.
    pub fn frame(bytes: &[u8]) -> Option<Frame> {
        Self::until(bytes, |layout| layout.frame.is_some()).frame
    }

    fn until(bytes: &[u8], enough: impl Fn(&Self) -> bool) -> Self {
        let mut layout = Self::default();
        let mut rest = bytes;
        while let Some((marker, after)) = next_marker(rest) {
            if marker == END {
                layout.ends = true;
                return layout;
            }
            rest = after;
            // Start of image, restarts and the reserved 01 stand alone.
            if matches!(marker, 0x01 | 0xd0..=0xd8) {
                continue;
            }
            let Some((length, _)) = after.split_first_chunk::<2>() else { return layout };
            let length = usize::from(u16::from_be_bytes(*length)).max(2);
            let Some((segment, after)) = after.split_at_checked(length) else { return layout };
            rest = after;
            match marker {
                // Start of frame, of whichever process; c4, c8 and cc are tables and an extension.
                0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                    layout.frame = Frame::of(marker, segment).or(layout.frame);
                }
                ADOBE => layout.adobe |= segment[2..].starts_with(b"Adobe"),
                SCAN => rest = after_scan(after),
                _ => {}
            }
            if enough(&layout) {
                return layout;
            }
        }
        layout
    }
}

/// The next marker and what follows it; stray bytes before it are passed over, as decoders do.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let at = bytes.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xff))?;
    Some((bytes[at + 1], &bytes[at + 2..]))
}

/// From the first marker after a scan's data that is not a restart; in the data, ff is followed by 00.
fn after_scan(data: &[u8]) -> &[u8] {
    let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xff | 0xd0..=0xd7);
    let at = data.windows(2).position(is_marker).unwrap_or(data.len());
    &data[at..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jpeg() -> Vec<u8> {
        let image = image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8 * 6, y as u8 * 8, 99]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        image.write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
        bytes.into_inner()
    }

    /// `jpeg` with `thumbnail` in an APP1 segment after the start marker.
    fn with_thumbnail(jpeg: &[u8], thumbnail: &[u8]) -> Vec<u8> {
        let length = ((thumbnail.len() + 2) as u16).to_be_bytes();
        [&jpeg[..2], &[0xff, 0xe1], &length, thumbnail, &jpeg[2..]].concat()
    }

    #[test]
    fn only_the_images_own_end_counts() {
        let whole = jpeg();
        let layout = JpegLayout::of(&whole);
        assert!(layout.ends && !layout.adobe);
        let frame = layout.frame.unwrap();
        assert_eq!((frame.width, frame.height, frame.components), (40, 30, 3));
        assert!(frame.has_frequencies() && !frame.is_progressive());
        assert_eq!(JpegLayout::frame(&whole[..whole.len() / 2]), Some(frame));
        assert!(JpegLayout::of(&[&whole[..], b"garbage \xff\xc0 after it"].concat()).ends);
        let outer = with_thumbnail(&whole, &whole);
        assert!(JpegLayout::of(&outer).ends);
        for length in [outer.len() - 2, outer.len() / 2 + whole.len() / 4, whole.len(), 3, 0] {
            assert!(!JpegLayout::of(&outer[..length]).ends, "{length} of {} bytes", outer.len());
        }
    }

    proptest::proptest! {
        #[test]
        fn no_cut_of_a_jpeg_has_an_end(cut in 0usize..10_000, bytes: Vec<u8>) {
            let whole = jpeg();
            proptest::prop_assert!(!JpegLayout::of(&whole[..cut % (whole.len() - 1)]).ends);
            let _ = JpegLayout::of(&bytes);
        }
    }
}
