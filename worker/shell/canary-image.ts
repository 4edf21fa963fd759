/**
 * The decode fixture of the canary: a small JPEG whose decoded pixels are part of the device class
 * (NUMERICS 1), so that two image libraries that decode differently never share a run.
 *
 * 32 × 24 pixels with halved chroma and EXIF orientation 6 (upright: 24 × 32), so a decode at a
 * canvas below 32 goes through orientation, colour conversion and resizing. Made from the drawn
 * flower `syntheticImage(1, 6)`: sharp 0.35.5 resized it ('cover') and wrote it (quality 85), the
 * EXIF block was put behind the first marker. The bytes are fixed for ever; nothing draws it again.
 */

const base64 = [
  '/9j/4QAiRXhpZgAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAD/2wBDAAUDBAQEAwUEBAQFBQUGBwwIBwcHBw8LCwkM',
  'EQ8SEhEPERETFhwXExQaFRERGCEYGh0dHx8fExciJCIeJBweHx7/2wBDAQUFBQcGBw4ICA4eFBEUHh4eHh4eHh4eHh4e',
  'Hh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh7/wAARCAAYACADASIAAhEBAxEB/8QAGQAAAgMBAAAA',
  'AAAAAAAAAAAAAAMCBAUH/8QAJxAAAgEEAAUDBQAAAAAAAAAAAQIDAAQREiEiMUGBBRNRFDJhkdH/xAAYAQADAQEAAAAA',
  'AAAAAAAAAAAAAQMCBP/EAB0RAAICAgMBAAAAAAAAAAAAAAECAAMRQRIhIgT/2gAMAwEAAhEDEQA/AOeWkcs1vhEAXhq/',
  '9rTtraWONY5dCXc5IOQOGR4IrN9PlKwRNuUKry6vgnxggin2s4lXZ269uw/FXrpV/R7nUVRPW5Wv3mCqHGhkGVUHtRN9',
  'UYkEcY11wTnjT7uVFBDEEHrk4z8ZOOlVveaaJ0jZVHAKwPAeabUhO8y9KBhmV4GmggUAu2q8yq2v7PakLcqqNIJApC7u',
  'EHKMsBgUUUVNxJAmmrXmwxF316YQfvZwxUFWwQQM5HyCKlDNM8YbR9ZACwI60UUWuTYV0I/mObSugBP/2Q==',
].join('');

/** The encoded image. */
export const canaryImage: Uint8Array = Uint8Array.from(Buffer.from(base64, 'base64'));
