/**
 * Every limit of the wire in one place. None needs to be touched.
 */

/** Newest version of proto/tandem/v1 that is spoken here. */
export const protoVersion = 2;
/**
 * The oldest that is spoken as well: the one before where it can be, so that a cluster is upgraded part by
 * part. In 1 every piece of weights had a checksum, and weights of a bf16 run travelled as f32.
 */
export const protoOldest = 2;

/** Elements of a bucket: the unit in which gradients are pulled and reduced (1 MiB of f32). */
export const bucketElements = 256 * 1024;
/** Bytes of a chunk of weights or samples. */
export const chunkBytes = 1024 * 1024;
/** Largest message either side takes. */
export const messageBytesMax = 2 * 1024 * 1024;
/** Headers of one call, bytes uncompressed, and how many they are. */
export const headerBytesMax = 16 * 1024;
export const headerPairsMax = 64;
/** HTTP/2 window of a session and of a stream: how much may be on its way unread. */
export const windowBytes = 32 * 1024 * 1024;
/** Buckets that the coordinator has asked for and not yet consumed. */
export const bucketCredit = 8;
/** A wished bucket comes within so long, milliseconds, or its worker counts as lost. */
export const bucketMs = 20_000;
/** A worker is heard at least so often, milliseconds. */
export const heartbeatMs = 1000;
/** A worker that was not heard for so long is lost, milliseconds. */
export const silenceMs = 15_000;
/** A worker that is told to leave stays so long for what it holds, where nobody says else. */
export const graceMsPreset = 20_000;
/** Control streams that a coordinator serves at once. */
export const workersMax = 1024;
/** Watchers that a coordinator serves at once. */
export const watchersMax = 256;
/** Largest encoded image that travels, bytes. */
export const sampleBytesMax = 256 * 1024 * 1024;
/** Responses that peers have not read yet, bytes, all calls together. */
export const unreadBytesMax = 256 * 1024 * 1024;
/** Messages that peers have begun and not ended, bytes, all calls together. */
export const unfinishedBytesMax = 128 * 1024 * 1024;
/** What an open call costs by itself, bytes, about. */
export const callBytes = 16 * 1024;
/** Open calls of other services than Tandem's (health, reflection), and of none. */
export const foreignCallsMax = 256;
/** What stands before each message of gRPC: a flag and a length. */
export const messageHeadBytes = 5;
/** Events of peers that may wait for the core before peers are not read any more. */
export const eventBacklogMax = 1024;
