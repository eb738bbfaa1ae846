import { invalid, notFound } from '../../domain/errors.js';
import { findEvent, findEventCursor, listEvents } from '../../storage/events.js';
import { eventObject } from '../../stripe/event.js';
import { type Endpoint, endpoint } from '../endpoint.js';
import { listPage } from '../pagination.js';
import { array, listParams, object, text } from '../params.js';

const TYPES_MAX = 20;

export const eventsEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v1/events',
    params: listParams({
      type: text().optional(),
      types: array(text(), { max: TYPES_MAX }).optional(),
    }),
    unsupported: ['delivery_success'],
    handle({ q, accountId }, params) {
      const { type, types, created } = params;
      if (type !== undefined && types !== undefined) {
        throw invalid('You may only specify one of these parameters: type, types.', {
          code: 'parameters_exclusive',
          param: 'type',
        });
      }
      const filter = { types: type === undefined ? types : [type], created };
      return listPage(params, {
        url: '/v1/events',
        noun: 'event',
        find: (id) => findEventCursor(q, accountId, id),
        list: (page) => listEvents(q, accountId, filter, page),
        render: eventObject,
      });
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v1/events/:id',
    params: object({}),
    async handle({ q, accountId }, _params, { id = '' }) {
      const event = await findEvent(q, accountId, id);
      if (event === null) throw notFound('event', id, 'id');
      return eventObject(event);
    },
  }),
];
