// htm bound to preact: the page needs no compiler for its markup.
import htm from "htm";
import { h } from "preact";

export const html = htm.bind(h);
