import { crc32, deflateSync } from "node:zlib";

/** A picture of at most 256 colours. */
export interface IndexedPicture {
  readonly width: number;
  readonly height: number;
  /** Colours as 0xRRGGBB. */
  readonly palette: readonly number[];
  /** A place in the palette for each pixel, row by row from the top left. */
  readonly pixels: Uint8Array;
}

/** Section 5.2 of the PNG specification (https://www.w3.org/TR/png-3/), as are the numbers below. */
const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** 11.2.1: a byte for each pixel, which is a place in a palette; the only compression, filter set and no interlacing. */
const header = { bitDepth: 8, colourType: 3, compression: 0, filterSet: 0, interlace: 0 };
/** 9.2: each byte less the one above it. Lines of a chart are steep: most rows look like the one before. */
const filterUp = 2;
/** 11.2.2. */
const maxColours = 256;

/** 5.3: length, type, data, and a checksum of type and data. */
function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}

function headerData({ width, height }: IndexedPicture): Buffer {
  const data = Buffer.alloc(13);
  data.writeUInt32BE(width, 0);
  data.writeUInt32BE(height, 4);
  data.set(Object.values(header), 8);
  return data;
}

function filtered({ width, height, pixels }: IndexedPicture): Uint8Array {
  const rows = new Uint8Array((width + 1) * height);
  for (let y = 0; y < height; y++) {
    const start = y * (width + 1);
    rows[start] = filterUp;
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      rows[start + 1 + x] = (pixels[at] ?? 0) - (pixels[at - width] ?? 0);
    }
  }
  return rows;
}

/** Writes a picture as a PNG file. Throws RangeError for more colours than the format takes. */
export function encodePng(picture: IndexedPicture): Buffer {
  const { palette } = picture;
  if (palette.length > maxColours)
    throw new RangeError(`expected at most ${maxColours} colours, got ${palette.length}`);
  const colours = palette.flatMap((rgb) => [rgb >> 16, (rgb >> 8) & 0xff, rgb & 0xff]);
  return Buffer.concat([
    signature,
    chunk("IHDR", headerData(picture)),
    chunk("PLTE", Uint8Array.from(colours)),
    chunk("IDAT", deflateSync(filtered(picture), { level: 9 })),
    chunk("IEND", new Uint8Array(0)),
  ]);
}
