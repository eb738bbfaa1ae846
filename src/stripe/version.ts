/** The API version whose shapes are served; any `Stripe-Version` is accepted and echoed. */
export const API_VERSION = '2026-10-28.endive';
