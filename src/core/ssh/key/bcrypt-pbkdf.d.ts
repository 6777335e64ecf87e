/** What bcrypt-pbkdf 1.0 (no types of its own) offers of use here. */
declare module "bcrypt-pbkdf" {
  const bcrypt: {
    /** Fills `out`; 0 when it went well. */
    pbkdf(
      passphrase: Uint8Array,
      passphraseLength: number,
      salt: Uint8Array,
      saltLength: number,
      out: Uint8Array,
      outLength: number,
      rounds: number,
    ): number;
  };
  export default bcrypt;
}
