/* aes_encrypt and aes_decrypt: ECB and CBC with PKCS padding, GCM with its tag behind the text; the initial vector stands first. */
#include "sql/fn_int.h"
#include <openssl/evp.h>

enum mode { ECB, CBC, GCM, NO_MODE };
enum { GCM_IV = 12, CBC_IV = 16, TAG = 16 };

static tm_rc bad_key(struct tm_eval *ev, size_t n)
{
	return tm_fail_class(ev->err, TM_DATA, "INVALID_PARAMETER_VALUE.AES_KEY_LENGTH", "22023",
			     "The value of parameter(s) `key` in `aes_encrypt`/`aes_decrypt` is invalid: expects a binary value with 16, "
			     "24 or 32 bytes, but got %zu bytes.",
			     n);
}
static enum mode mode_of(struct tm_str m, struct tm_str padding)
{
	bool standard = tm_str_iis(padding, "DEFAULT"), pkcs = standard || tm_str_iis(padding, "PKCS");
	if (tm_str_iis(m, "GCM") && (standard || tm_str_iis(padding, "NONE")))
		return GCM;
	return tm_str_iis(m, "ECB") && pkcs ? ECB : tm_str_iis(m, "CBC") && pkcs ? CBC : NO_MODE;
}
static const EVP_CIPHER *cipher_of(enum mode m, size_t key)
{
	static const EVP_CIPHER *(*const table[3][3])(void) = {{EVP_aes_128_ecb, EVP_aes_192_ecb, EVP_aes_256_ecb},
							       {EVP_aes_128_cbc, EVP_aes_192_cbc, EVP_aes_256_cbc},
							       {EVP_aes_128_gcm, EVP_aes_192_gcm, EVP_aes_256_gcm}};
	return key == 16 || key == 24 || key == 32 ? table[m][key / 8 - 2]() : NULL;
}

/* iv, out: room for the text, a block and the tag. *ret_len; false when the cipher refuses (a wrong key, a changed text). */
static bool run(const EVP_CIPHER *cipher, enum mode m, bool encrypt, struct tm_str key, const unsigned char *iv, struct tm_str text,
		struct tm_str aad, unsigned char *out, size_t *ret_len)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n = 0, total = 0;
	unsigned char tag[TAG];
	bool ok = c && EVP_CipherInit_ex(c, cipher, NULL, (const unsigned char *)key.at, iv, encrypt);
	if (ok && m == GCM && !encrypt) {
		text.len -= TAG;
		memcpy(tag, text.at + text.len, TAG);
		ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, tag);
	}
	if (ok && aad.len)
		ok = EVP_CipherUpdate(c, NULL, &n, (const unsigned char *)aad.at, (int)aad.len);
	ok = ok && EVP_CipherUpdate(c, out, &n, (const unsigned char *)text.at, (int)text.len);
	total = n;
	ok = ok && EVP_CipherFinal_ex(c, out + total, &n);
	total += n;
	if (ok && m == GCM && encrypt) {
		ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, out + total);
		total += TAG;
	}
	EVP_CIPHER_CTX_free(c);
	*ret_len = (size_t)total;
	return ok;
}

/* (text, key [, mode [, padding [, iv [, aad]]]]); decrypting: (text, key [, mode [, padding [, aad]]]) */
static tm_rc aes(FN_EVAL_ARGS, bool encrypt)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		size_t n = call->arg_count, aad_arg = encrypt ? 5 : 4;
		struct tm_str text = STR_AT(0, i), key = STR_AT(1, i), aad = n > aad_arg ? STR_AT(aad_arg, i) : (struct tm_str){0};
		enum mode m = mode_of(n > 2 ? STR_AT(2, i) : TM_STR("GCM"), n > 3 ? STR_AT(3, i) : TM_STR("DEFAULT"));
		if (m == NO_MODE)
			return tm_fail_class(
			    ev->err, TM_DATA, "UNSUPPORTED_FEATURE.AES_MODE", "0A000",
			    "The feature is not supported: AES-%.*s with the padding %.*s by the `aes_encrypt`/`aes_decrypt` function.",
			    TM_STR_ARG(STR_AT(2, i)), TM_STR_ARG(n > 3 ? STR_AT(3, i) : TM_STR("DEFAULT")));
		const EVP_CIPHER *cipher = cipher_of(m, key.len);
		if (!cipher)
			return bad_key(ev, key.len);
		size_t iv_len = m == GCM ? GCM_IV : m == CBC ? CBC_IV : 0, len;
		unsigned char iv[CBC_IV] = {0}, *out;
		void *room;
		TM_TRY(fn_try(ev, text.len + 64, &room));
		out = room;
		if (encrypt) {
			struct tm_str given = n > 4 ? STR_AT(4, i) : (struct tm_str){0};
			if (given.len && given.len != iv_len)
				return tm_fail_class(
				    ev->err, TM_DATA, "INVALID_PARAMETER_VALUE.AES_IV_LENGTH", "22023",
				    "The value of parameter(s) `iv` in `aes_encrypt` is invalid: %zu bytes are expected, but got %zu.",
				    iv_len, given.len);
			if (given.len)
				memcpy(iv, given.at, iv_len);
			else if (iv_len)
				tm_random(ev->session->env ? ev->session->env : tm_env_real(), iv, iv_len);
			memcpy(out, iv, iv_len);
		} else {
			size_t least = m == GCM ? TAG : CBC_IV; /* behind the initial vector: a tag, or a block */
			if (text.len < iv_len + least) {
				text.at = NULL;
			} else {
				memcpy(iv, text.at, iv_len);
				text = tm_str_slice(text, iv_len, text.len);
			}
		}
		bool ok = (encrypt || text.at) && run(cipher, m, encrypt, key, iv, text, aad, encrypt ? out + iv_len : out, &len);
		if (ok) {
			ret->str[i] = tm_str_n(room, len + (encrypt ? iv_len : 0));
		} else if (call->bound) {
			fn_null(ev, ret, i);
		} else {
			return tm_fail_class(ev->err, TM_DATA, "INVALID_PARAMETER_VALUE.AES_CRYPTO_ERROR", "22023",
					     "The value of parameter(s) `expr, key` in `aes_decrypt` is invalid: the text cannot be "
					     "decrypted with this key.");
		}
	}
	return TM_OK;
}
KERNEL_VOLATILE(aes_encrypt) { return aes(ev, call, args, ret, true); }
KERNEL(aes_decrypt) { return aes(ev, call, args, ret, false); }
/* variant: 0 encrypt, 1 decrypt, 2 try_aes_decrypt */
BIND(aes)
{
	for (size_t i = 0; i < b->arg_count; i++)
		TM_TRY(fn_want(b, i, i == 2 || i == 3 ? &tm_type_string : &tm_type_binary, err));
	b->bound = fn_variant(b) == 2 ? "" : NULL;
	return fn_is(b, fn_variant(b) ? &tm_k_aes_decrypt : &tm_k_aes_encrypt, &tm_type_binary, true);
}
