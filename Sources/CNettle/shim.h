#include <nettle/sha2.h>
#include <nettle/version.h>

/* Writes the 32 bytes of the digest. Nettle 4 no longer takes how many bytes are wanted. */
static inline void apus_sha256_digest(struct sha256_ctx *hash, uint8_t *digest)
{
#if NETTLE_VERSION_MAJOR >= 4
	sha256_digest(hash, digest);
#else
	sha256_digest(hash, SHA256_DIGEST_SIZE, digest);
#endif
}
