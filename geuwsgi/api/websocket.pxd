# C types for websocket.py, when it is compiled: what is called for each message.

cimport cython

from geuwsgi.server.exchange cimport Exchange
from geuwsgi.server.websocket.engine cimport WebSocket


@cython.locals(exchange=Exchange, websocket=WebSocket, leave_rest=bint)
cpdef websocket_recv(request_context=*)
@cython.locals(exchange=Exchange, websocket=WebSocket)
cpdef websocket_recv_nb(request_context=*)
@cython.locals(exchange=Exchange, websocket=WebSocket)
cpdef websocket_send(message, request_context=*)
@cython.locals(exchange=Exchange, websocket=WebSocket)
cpdef websocket_send_binary(message, request_context=*)
cdef WebSocket _websocket(Exchange exchange, str failure)
